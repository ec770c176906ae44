/**
 * Which ports of which back-ends answer. What sessions see comes first: a port that took a login or
 * a message is up. Where nobody asked for a while, or a session could not get through, the port is
 * asked by a probe, and its answer decides. Changes are events.
 */
import { isDeepStrictEqual } from 'node:util'
import type { BackendReason, BackendStep, Log } from '../base/log.ts'
import type { ProbeReport } from '../backend/probe.ts'
import type { BackendProtocol, Config, Endpoint } from '../config/config.ts'
import type { BackendTrouble } from './backend-troubles.ts'
import { type BackendPort, portsOf } from './check-backends.ts'
import { type Counts, countsOf } from './counters.ts'

export interface PortHealth {
  readonly state: 'up' | 'down' | 'unknown'
  /** Since when; milliseconds of the epoch. */
  readonly since: number
  /** The last thing that went wrong, seen by a session or a probe. */
  readonly lastError: PortError | undefined
}

export interface PortError {
  readonly at: number
  readonly step: BackendStep | 'probe'
  readonly reason?: BackendReason
  readonly text: string
}

interface Known extends BackendPort {
  /** What is known is of this place. */
  readonly endpoint: Endpoint | undefined
  state: PortHealth['state']
  since: number
  lastError: PortError | undefined
  /** When last it was known to answer, or asked in vain. */
  lookedAt: number
  /** Sessions could not get through since the last look. */
  isDoubtful: boolean
  isAsked: boolean
  answers: number
}

/** A port that is down, or in doubt, is asked this often. */
const doubtMs = 4_000
/** Up to here it is the port that fails; beyond it, what is asked of it. */
const wayIn: ReadonlySet<BackendStep> = new Set(['connect', 'tls', 'greeting', 'hello'])

/** What is spoken to a back-end for a service; for mail that came either way LMTP where it takes that. */
export function protocolOf(
  config: Config,
  backend: string,
  service: BackendProtocol,
): BackendProtocol {
  if (service !== 'smtp' && service !== 'lmtp') return service
  return config.backends.get(backend)?.endpoints.lmtp === undefined ? 'smtp' : 'lmtp'
}

export class BackendHealth {
  /** Told of each port that was down and answers again. */
  onUp: (port: BackendPort) => void = () => undefined
  readonly #log: Log
  #ports = new Map<string, Known>()
  #config: Config
  #now: number

  /** `now` is of the epoch, in milliseconds, as everywhere here. */
  constructor(config: Config, log: Log, now: number) {
    this.#log = log
    this.#config = config
    this.#now = now
    this.use(config)
  }

  /** Takes the back-ends of another config; what is known of ports that stay as they are is kept. */
  use(config: Config): void {
    this.#config = config
    const ports = new Map<string, Known>()
    for (const port of portsOf(config)) {
      const key = `${port.backend} ${port.protocol}`
      const endpoint = config.backends.get(port.backend)?.endpoints[port.protocol]
      const known = this.#ports.get(key)
      const isSame = known !== undefined && isDeepStrictEqual(known.endpoint, endpoint)
      ports.set(key, isSame ? known : fresh(port, endpoint, this.#now))
    }
    this.#ports = ports
  }

  of(backend: string, protocol: BackendProtocol): PortHealth {
    return (
      this.#ports.get(`${backend} ${protocol}`) ??
      fresh({ backend, protocol }, undefined, this.#now)
    )
  }

  /** How many back-ends answer for one of these services; `states` count as an answer. */
  usable(services: readonly BackendProtocol[], states: ReadonlySet<PortHealth['state']>): number {
    const usable = [...this.#config.backends.keys()].filter((backend) =>
      services.some((service) => {
        const port = this.#ports.get(`${backend} ${protocolOf(this.#config, backend, service)}`)
        return port !== undefined && states.has(port.state)
      }),
    )
    return usable.length
  }

  /** What the workers saw until now. */
  note(counts: Counts, troubles: Iterable<BackendTrouble>, now: number): void {
    this.#now = now
    const answers = this.#answersIn(counts)
    for (const trouble of troubles) this.#noteTrouble(trouble)
    for (const [key, port] of this.#ports) {
      const count = answers.get(key) ?? 0
      if (count > port.answers) this.#answered(port)
      port.answers = count
    }
  }

  /** The ports to ask now. `quietMs`: how long a port may be without an answer. */
  due(quietMs: number, now: number): BackendPort[] {
    return [...this.#ports.values()].filter(({ isAsked, isDoubtful, state, lookedAt }) => {
      const waitMs = isDoubtful || state === 'down' ? Math.min(doubtMs, quietMs) : quietMs
      return !isAsked && now - lookedAt >= waitMs
    })
  }

  /** The ports of which nothing is known. */
  get unknown(): BackendPort[] {
    return [...this.#ports.values()].filter(({ state, isAsked }) => state === 'unknown' && !isAsked)
  }

  asked({ backend, protocol }: BackendPort): void {
    const port = this.#ports.get(`${backend} ${protocol}`)
    if (port !== undefined) port.isAsked = true
  }

  probed({ backend, protocol, ok, problem = '' }: ProbeReport, now: number): void {
    const port = this.#ports.get(`${backend} ${protocol}`)
    if (port === undefined) return
    this.#now = now
    port.isAsked = false
    if (ok) this.#answered(port)
    else {
      port.lookedAt = now
      port.isDoubtful = false
      port.lastError = { at: now, step: 'probe', text: problem }
      this.#become(port, 'down', problem)
    }
  }

  /** Logins and messages that a back-end answered, well or not. */
  #answersIn(counts: Counts): Map<string, number> {
    const answers = new Map<string, number>()
    const add = (backend: string, service: BackendProtocol, count: number): void => {
      const key = `${backend} ${protocolOf(this.#config, backend, service)}`
      answers.set(key, (answers.get(key) ?? 0) + count)
    }
    for (const { labels, count } of countsOf(counts, 'backend_login')) {
      const [backend = '', service, outcome] = labels
      if (outcome !== 'unavailable') add(backend, service as BackendProtocol, count)
    }
    for (const { labels, count } of countsOf(counts, 'backend_message')) {
      const [backend = '', outcome] = labels
      const isAnswered = outcome === 'accepted' || outcome === 'refused'
      if (isAnswered) add(backend, 'smtp', count)
    }
    for (const { labels, count } of countsOf(counts, 'delivery')) {
      const [backend = '', result] = labels
      if (result === 'delivered') add(backend, 'smtp', count)
    }
    return answers
  }

  #noteTrouble({ backend, service, step, reason, detail, at }: BackendTrouble): void {
    const port = this.#ports.get(`${backend} ${protocolOf(this.#config, backend, service)}`)
    if (port === undefined || at <= (port.lastError?.at ?? 0)) return
    port.lastError = { at, step, reason, text: detail }
    if (wayIn.has(step) && at > port.lookedAt) port.isDoubtful = true
  }

  #answered(port: Known): void {
    port.lookedAt = this.#now
    port.isDoubtful = false
    this.#become(port, 'up', '')
  }

  #become(port: Known, state: 'up' | 'down', detail: string): void {
    if (port.state === state) return
    const { backend, protocol } = port
    const wasDown = port.state === 'down'
    port.state = state
    port.since = this.#now
    if (state === 'down' || wasDown) {
      this.#log('backend.state', { backend, protocol, state, detail })
    }
    if (wasDown) this.onUp({ backend, protocol })
  }
}

function fresh(port: BackendPort, endpoint: Endpoint | undefined, now: number): Known {
  return {
    ...port,
    endpoint,
    state: 'unknown',
    since: now,
    lastError: undefined,
    lookedAt: now,
    isDoubtful: false,
    isAsked: false,
    answers: 0,
  }
}
