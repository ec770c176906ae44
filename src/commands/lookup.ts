import { createInterface } from 'node:readline'
import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../cli/base-command.ts'
import { style } from '../cli/style.ts'
import { type Answer, answerQuestion, describeAnswer, exitCodeOf } from '../map/answer.ts'
import { openMapInForce } from '../map/open.ts'

export default class Lookup extends MailmuxCommand {
  static override summary = 'Print where mail for an address goes, or its logins.'
  static override description =
    'Exit status 0: every address has a route or an expansion; 67: one has none; ' +
    '75: one could not be told now.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> ann@example.com',
    '<%= config.bin %> <%= command.id %> --retrieval ann@example.com',
    '<%= config.bin %> <%= command.id %> --json - < addresses',
  ]
  static override args = {
    address: Args.string({
      multiple: true,
      required: true,
      description: 'address or login; - reads them from stdin, one a line',
    }),
  }
  static override flags = {
    retrieval: Flags.boolean({ summary: 'Where logins go, not mail.' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Lookup)
    const config = await this.loadConfig(flags)
    const map = openMapInForce(config, (problem) => this.warnOfError(problem))
    const direction = flags.retrieval ? 'retrieval' : 'delivery'
    let exitCode = 0
    try {
      for await (const text of this.#addresses(args.address)) {
        const answer = answerQuestion({ text, direction }, map, config)
        exitCode = Math.max(exitCode, exitCodeOf(answer.json))
        await this.#print(answer)
      }
    } finally {
      map.close()
    }
    process.exitCode = exitCode
  }

  async *#addresses(named: readonly string[]): AsyncGenerator<string> {
    for (const address of named) {
      if (address !== '-') yield address
      else {
        for await (const line of createInterface({ input: process.stdin })) {
          if (line.trim() !== '') yield line.trim()
        }
      }
    }
  }

  /** Waits where the reader of stdout is slower than the lookups. */
  async #print(answer: Answer): Promise<void> {
    const { json } = answer
    const paint = exitCodeOf(json) === 0 ? style.green : style.yellow
    const text = this.jsonEnabled()
      ? JSON.stringify(json)
      : `${json.address}: ${paint(describeAnswer(answer))}`
    if (!process.stdout.write(`${text}\n`)) {
      await new Promise((resolve) => process.stdout.once('drain', resolve))
    }
  }
}
