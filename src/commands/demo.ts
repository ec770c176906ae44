import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Flags } from '@oclif/core'
import { MailmuxCommand } from '../cli/base-command.ts'
import { style } from '../cli/style.ts'
import { formatTable } from '../cli/table.ts'
import { type DemoReport, runDemo } from '../demo/demo.ts'
import type { Narrator } from '../demo/narrator.ts'

/** In a checkout nothing is on the PATH, and npx brings the right Node. */
function shownProgram(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return folders.some((folder) => existsSync(join(folder, 'mailmux'))) ? 'mailmux' : 'npx mailmux'
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export default class Demo extends MailmuxCommand {
  static override summary = 'Run a whole system on this machine, for a first look.'
  static override description =
    'Two Dovecot back-ends, a map from sample sources, a front end; messages go in and are read ' +
    'back. All of it lives in a folder of the temporary directory and is gone afterwards.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --keep',
  ]
  static override flags = {
    keep: Flags.boolean({ summary: 'Leave it running until Ctrl-C.' }),
  }

  async run(): Promise<DemoReport | undefined> {
    const { flags } = await this.parse(Demo)
    const interrupted = new AbortController()
    for (const signal of signals) process.on(signal, () => interrupted.abort())
    const program = [process.execPath, process.argv[1] ?? '']
    try {
      const { keep } = flags
      const options = { program, shownProgram: shownProgram(), keep, narrator: this.#narrator() }
      return await runDemo(options, interrupted.signal)
    } catch (error) {
      if (!interrupted.signal.aborted) throw error
      process.stderr.write('stopped; nothing is left running\n')
      process.exitCode = 130
      return undefined
    }
  }

  #narrator(): Narrator {
    let chapters = 0
    const indented = (line: string): void => this.log(line === '' ? '' : `   ${line}`)
    return {
      chapter: (title) => this.log(`\n${style.bold(`${++chapters}. ${title}`)}`),
      say: (...lines) => {
        for (const line of lines) indented(line)
      },
      table: (rows) => {
        const columns = Array.from({ length: Math.max(...rows.map((row) => row.length)) })
        const lines = formatTable(
          columns.map(() => ({ title: '' })),
          rows,
        )
        for (const line of lines) indented(`  ${line}`)
      },
      command: (text, what) => {
        if (what !== '') indented(style.dim(`# ${what}`))
        indented(style.cyan(text))
      },
    }
  }
}
