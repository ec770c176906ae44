import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../cli/base-command.ts'
import { lineBatches } from '../cli/line-batches.ts'
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
    const expected = args.address.includes('-') ? 'many questions' : 'few questions'
    const map = openMapInForce(config, (problem) => this.doubt(problem), expected)
    const direction = flags.retrieval ? 'retrieval' : 'delivery'
    let exitCode = 0
    try {
      for await (const addresses of this.#batches(args.address)) {
        for (const text of addresses) {
          const answer = answerQuestion({ text, direction }, map, config)
          exitCode = Math.max(exitCode, exitCodeOf(answer.json))
          await this.printLine(this.#lineOf(answer))
        }
        await this.flushLines()
      }
    } finally {
      map.close()
    }
    process.exitCode = exitCode
  }

  async *#batches(named: readonly string[]): AsyncGenerator<readonly string[]> {
    for (const address of named) {
      if (address !== '-') yield [address]
      else {
        for await (const lines of lineBatches(process.stdin)) {
          yield lines.map((line) => line.trim()).filter((line) => line !== '')
        }
      }
    }
  }

  #lineOf(answer: Answer): string {
    const { json } = answer
    if (this.jsonEnabled()) return JSON.stringify(json)
    const paint = exitCodeOf(json) === 0 ? style.green : style.yellow
    return `${json.address}: ${paint(describeAnswer(answer))}`
  }
}
