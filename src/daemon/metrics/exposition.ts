/**
 * Numbers of the daemon → the texts that Prometheus and OpenMetrics define. The library renames what
 * it writes for OpenMetrics, so each of the two has metrics of its own.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { SpoolStatus, StatusReport } from '../../control/messages.ts'
import type { CounterName } from '../count-event.ts'
import { type Counts, countsOf } from '../counters.ts'
import type { MoveFigures } from '../move-watch.ts'
import { counterMetrics, type Definition, gaugeMetrics, stragglersMetric } from './definitions.ts'

/** What the metrics tell. */
export interface Sample {
  readonly status: StatusReport
  readonly counts: Counts
  readonly workerBytes: number
  readonly isReady: boolean
  readonly moves: MoveFigures
}

export type Format = 'prometheus' | 'openmetrics'

type GaugeName = keyof typeof gaugeMetrics

const openMetricsType = Registry.OPENMETRICS_CONTENT_TYPE
const breakerValues = { closed: 0, 'half-open': 1, open: 2 } as const

export class Exposition {
  readonly #registry = new Registry()
  readonly #counters: ReadonlyMap<CounterName, Counter>
  readonly #gauges: ReadonlyMap<GaugeName, Gauge>
  readonly #stragglers: Counter

  constructor(format: Format) {
    const registers = [this.#registry]
    const made = ({ name, help, labels }: Definition) => ({
      name,
      help,
      labelNames: [...labels],
      registers,
    })
    this.#counters = new Map(
      entriesOf(counterMetrics).map(([name, definition]) => [name, new Counter(made(definition))]),
    )
    this.#gauges = new Map(
      entriesOf(gaugeMetrics).map(([name, definition]) => [name, new Gauge(made(definition))]),
    )
    this.#stragglers = new Counter(made(stragglersMetric))
    // Of this process, the supervisor.
    collectDefaultMetrics({ register: this.#registry })
    const type = format === 'openmetrics' ? openMetricsType : Registry.PROMETHEUS_CONTENT_TYPE
    // Its type knows the type of the text that it was made with only.
    this.#registry.setContentType(type as typeof Registry.PROMETHEUS_CONTENT_TYPE)
  }

  async write(sample: Sample): Promise<{ readonly type: string; readonly text: string }> {
    this.#take(sample)
    return { type: this.#registry.contentType, text: await this.#registry.metrics() }
  }

  #take({ status, counts, workerBytes, isReady, moves }: Sample): void {
    for (const [name, counter] of this.#counters) {
      counter.reset()
      const { labels: names, scale = 1 } = counterMetrics[name]
      if (names.length === 0) counter.inc((counts[name] ?? 0) * scale)
      for (const { labels, count } of countsOf(counts, name)) {
        counter.inc(labelled(names, labels), count * scale)
      }
    }
    this.#counters.get('internal')?.inc({ reason: 'log_drop' }, status.log_dropped)
    for (const gauge of this.#gauges.values()) gauge.reset()
    this.#gauge('info', 1, status.version)
    this.#gauge('startTime', Date.parse(status.started) / 1000)
    this.#gauge('ready', Number(isReady))
    this.#takeMap(status)
    this.#takeWorkers(status, workerBytes)
    for (const { service, sessions } of status.services) this.#gauge('sessions', sessions, service)
    this.#takeBackends(status)
    this.#gauge('frozenUsers', status.frozen ?? 0)
    this.#stragglers.reset()
    this.#stragglers.inc(moves.stragglers)
    for (const [step, count] of moves.steps) this.#gauge('moves', count, step)
    this.#gauge('loginAlarm', Number(status.login_alarm !== undefined))
    if (status.spool !== undefined) this.#takeSpool(status.spool)
  }

  #takeSpool({ bytes, oldest_ms: oldest, ...spool }: SpoolStatus): void {
    for (const state of ['live', 'deferred', 'quarantined'] as const) {
      this.#gauge('spoolMessages', spool[state], state)
    }
    this.#gauge('spoolBytes', bytes)
    this.#gauge('spoolOldest', oldest / 1000)
  }

  #takeMap({ map_built, generation, users }: StatusReport): void {
    const builtAt = Date.parse(map_built)
    this.#gauge('mapGeneration', generation)
    this.#gauge('mapBuilt', builtAt / 1000)
    this.#gauge('mapAge', Math.max(0, Date.now() - builtAt) / 1000)
    if (users !== undefined) this.#gauge('mapUsers', users)
  }

  #takeWorkers({ workers: all }: StatusReport, workerBytes: number): void {
    const workers = all.filter(({ role }) => role === 'worker')
    const queues = all.filter(({ role }) => role === 'queue')
    if (queues.length > 0) {
      this.#gauge('queueServing', Number(queues.some(({ state }) => state === 'serving')))
    }
    for (const state of ['starting', 'serving', 'leaving'] as const) {
      this.#gauge('workers', workers.filter((worker) => worker.state === state).length, state)
    }
    const restarts = all.reduce((sum, worker) => sum + worker.restarts, 0)
    this.#gauge('workerRestarts', restarts)
    this.#gauge('workerMemory', workerBytes)
  }

  #takeBackends({ backends }: StatusReport): void {
    for (const { backend, protocols } of backends) {
      for (const { protocol, sessions, state, breaker } of protocols) {
        this.#gauge('backendSessions', sessions, backend, protocol)
        if (state !== 'unknown') this.#gauge('backendUp', Number(state === 'up'), backend, protocol)
        if (breaker !== undefined) {
          this.#gauge('backendBreaker', breakerValues[breaker], backend, protocol)
        }
      }
    }
  }

  #gauge(name: GaugeName, value: number, ...labels: readonly string[]): void {
    this.#gauges.get(name)?.set(labelled(gaugeMetrics[name].labels, labels), value)
  }
}

function labelled(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
}

function entriesOf<Key extends string, Value>(record: Readonly<Record<Key, Value>>) {
  return Object.entries(record) as [Key, Value][]
}
