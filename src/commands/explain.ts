import { Args } from '@oclif/core'
import { MailmuxCommand } from '../cli/base-command.ts'
import { style } from '../cli/style.ts'
import { formatTable } from '../cli/table.ts'
import type { Direction } from '../mail/route.ts'
import { describeAnswer, exitCodeOf, type LookupJson } from '../map/answer.ts'
import { describeEndpoint, describeStep, type Explanation, explain } from '../map/explain.ts'
import { openMapInForce } from '../map/open.ts'
import { describeListed, lastMoveOf, type ListedMove } from '../migrate/list-moves.ts'

type ExplainedJson = LookupJson & Pick<Explanation, 'steps' | 'endpoints'>

interface ExplainJson {
  readonly address: string
  readonly delivery: ExplainedJson
  readonly retrieval: ExplainedJson
  /** Of the user, the last one. */
  readonly move?: ListedMove
}

const columns = [{ title: 'source' }, { title: 'asked' }, { title: 'found' }, { title: 'where' }]

export default class Explain extends MailmuxCommand {
  static override summary = 'Print step by step why an address goes where it goes.'
  static override description =
    'Both ways, delivery and retrieval, with the line of the source that decided each step.'
  static override examples = ['<%= config.bin %> <%= command.id %> ann@example.com']
  static override args = {
    address: Args.string({ required: true, description: 'address or login' }),
  }

  async run(): Promise<ExplainJson> {
    const { args, flags } = await this.parse(Explain)
    const config = await this.loadConfig(flags)
    const map = openMapInForce(config, (problem) => this.doubt(problem), 'few questions')
    try {
      const [delivery, retrieval] = (['delivery', 'retrieval'] as const).map((direction) =>
        explain({ text: args.address, direction }, map, config),
      ) as [Explanation, Explanation]
      this.#print('delivery', delivery)
      this.log('')
      this.#print('retrieval', retrieval)
      process.exitCode = exitCodeOf(delivery.answer.json)
      const move = lastMoveOf(config, delivery.answer.json.user ?? '')
      if (move?.awaits !== undefined) this.log(`\n${style.bold('move')} ${describeListed(move)}`)
      const { address } = args
      const both = { delivery: jsonOf(delivery), retrieval: jsonOf(retrieval) }
      return { address, ...both, ...(move === undefined ? {} : { move }) }
    } finally {
      map.close()
    }
  }

  #print(direction: Direction, { steps, answer, endpoints }: Explanation): void {
    const paint = exitCodeOf(answer.json) === 0 ? style.green : style.yellow
    this.log(
      `${style.bold(direction)} of ${answer.json.address} (generation ${answer.json.generation})`,
    )
    const rows = steps.length === 0 ? [] : formatTable(columns, steps.map(describeStep))
    for (const [row, line] of rows.entries()) {
      this.log(`  ${row === 0 ? style.dim(line) : line}`)
    }
    this.log(`  → ${paint(describeAnswer(answer))}`)
    for (const endpoint of endpoints) this.log(`    ${describeEndpoint(endpoint)}`)
  }
}

function jsonOf({ answer, steps, endpoints }: Explanation): ExplainedJson {
  return { ...answer.json, steps, endpoints }
}
