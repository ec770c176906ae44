/** The way to an answer, step by step, with the line of the source that decided each. */
import { formatPosition, type Position } from '../base/position.ts'
import type { BackendProtocol, Config } from '../config/config.ts'
import type { Direction } from '../mail/route.ts'
import { type Answer, answerQuestion } from './answer.ts'
import { nameOf } from './key.ts'
import type { TracingReader } from './open.ts'
import type { Step } from './place.ts'

const foundLimit = 60

export interface ExplainedStep {
  readonly source: Step['source']
  readonly asked: string
  /** Absent: nothing was found there. */
  readonly found?: string
  readonly at?: Position
  /** The generation of the change since the build that says so. */
  readonly changed?: number
  /** How many aliases and forwards led here. */
  readonly depth: number
}

/** Where a protocol of the direction connects to for the answer. */
export interface ExplainedEndpoint {
  readonly protocol: BackendProtocol
  readonly backend: string
  /** Absent: the back-end has no port for it, and its users cannot use it. */
  readonly host?: string
  readonly port?: number
  /** Present where the back-end takes no new users. */
  readonly state?: 'draining'
}

export interface Explanation {
  readonly steps: readonly ExplainedStep[]
  readonly endpoints: readonly ExplainedEndpoint[]
  readonly answer: Answer
}

/** Answers by the same resolution as every lookup, and writes down what it asked. */
export function explain(
  question: { readonly text: string; readonly direction: Direction },
  map: TracingReader,
  config: Config,
): Explanation {
  const steps: ExplainedStep[] = []
  const tracing = {
    generation: map.generation,
    resolve: (...[direction, address, naming]: Parameters<TracingReader['resolve']>) =>
      map.resolveTraced(direction, address, naming, (step) => {
        steps.push(explainStep(step, map))
      }),
  }
  const answer = answerQuestion(question, tracing, config)
  return { answer, steps, endpoints: endpointsOf(answer, question.direction, config) }
}

function endpointsOf(
  { destinations }: Answer,
  direction: Direction,
  { backends, smarthost = '', smarthostLogin }: Config,
): ExplainedEndpoint[] {
  // A site without them need not hear that each of its back-ends has none.
  const further = (['sieve', 'submission'] as const).filter((protocol) =>
    [...backends.values()].some(({ endpoints }) => endpoints[protocol] !== undefined),
  )
  const names = [...new Set(destinations.map(({ backend }) => backend))]
  return names.flatMap((backend) => {
    const endpoints = backends.get(backend)?.endpoints ?? {}
    const mail = endpoints.lmtp === undefined ? 'smtp' : 'lmtp'
    const protocols = direction === 'delivery' ? [mail] : ['imap', 'pop3', ...further]
    return (protocols as BackendProtocol[]).map((protocol) => {
      const own = endpoints[protocol]
      const isElsewhere = own === undefined && protocol === 'submission' && smarthostLogin
      const endpoint = isElsewhere ? backends.get(smarthost)?.endpoints[protocol] : own
      const place = endpoint === undefined ? {} : { host: endpoint.host, port: endpoint.port }
      const name = isElsewhere ? smarthost : backend
      const { state } = backends.get(name) ?? {}
      return { protocol, backend: name, ...place, ...(state === 'draining' ? { state } : {}) }
    })
  })
}

/** `imap at fritz 10.0.0.11:143`. */
export function describeEndpoint({
  protocol,
  backend,
  host,
  port,
  state,
}: ExplainedEndpoint): string {
  const draining = state === undefined ? '' : ', being drained'
  return host === undefined
    ? `${protocol}: ${backend} has no port for it`
    : `${protocol}: ${backend} ${host}:${port}${draining}`
}

function explainStep({ source, asked, found, at, depth }: Step, map: TracingReader): ExplainedStep {
  const isKey = source === 'aliases' || source === 'user_map' || source === 'popmap'
  // Of a key that is gone, there is nothing else to show.
  const tells = found !== undefined || map.lookup.find(asked) === undefined
  const changed = isKey && tells ? map.changedIn(asked) : undefined
  const place = at ?? (isKey && found !== undefined ? map.place(asked, source) : undefined)
  return {
    source,
    asked: isKey ? nameOf(asked) : asked,
    ...(found === undefined ? {} : { found }),
    ...(place === undefined ? {} : { at: place }),
    ...(changed === undefined ? {} : { changed }),
    depth,
  }
}

/** Cells of a row for a table: source, what was asked, what was found, where that stands. */
export function describeStep({
  source,
  asked,
  found,
  at,
  changed,
  depth,
}: ExplainedStep): string[] {
  const place = [
    ...(at === undefined ? [] : [formatPosition(at)]),
    ...(changed === undefined ? [] : [`(changed in generation ${changed})`]),
  ].join(' ')
  return [`${'  '.repeat(depth)}${source}`, asked, shorten(found ?? '–'), place]
}

/** A list of a thousand members would push the place off the screen. */
function shorten(text: string): string {
  return text.length > foundLimit ? `${text.slice(0, foundLimit - 1)}…` : text
}
