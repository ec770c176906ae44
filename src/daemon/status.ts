/** The numbers of all workers → what `mailmux status` shows. */
import type { BackendReason, BackendStep } from '../base/log.ts'
import type { BackendProtocol, Service } from '../config/config.ts'
import type {
  BackendStatus,
  BreakerReport,
  BreakerState,
  ProtocolStatus,
  ServiceStatus,
  StatusReport,
} from '../control/messages.ts'
import { type BackendHealth, protocolOf } from './backend-health.ts'
import type { SessionCount } from './channel.ts'
import { type Counts, countsOf } from './counters.ts'
import { formatAddress, type Settings, servicesOf } from './settings.ts'

export interface Figures {
  readonly settings: Settings
  readonly sessions: readonly SessionCount[]
  readonly counts: Counts
  /** What of `counts` came in the last minute. */
  readonly lastMinute: Counts
  readonly breakers: readonly BreakerReport[]
  readonly health: Pick<BackendHealth, 'of'>
}

export function numbersOf(figures: Figures): Pick<StatusReport, 'services' | 'backends'> {
  const { settings } = figures
  return {
    services: servicesOf(settings).map((service) => serviceStatus(service, figures)),
    backends: [...settings.config.backends.keys()].map((backend) =>
      backendStatus(backend, figures),
    ),
  }
}

const noLogins = { ok: 0, failed: 0, unavailable: 0 }
const noMessages = { accepted: 0, deferred: 0, refused: 0 }

/** Counts of a name whose labels begin with `first`, by what follows. */
function under(counts: Counts, name: string, ...first: string[]): Record<string, number> {
  const found = countsOf(counts, name).filter(({ labels }) =>
    first.every((label, index) => labels[index] === label),
  )
  return Object.fromEntries(
    found.map(({ labels, count }) => [labels.slice(first.length).join(','), count]),
  )
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

function sessionsIn(sessions: readonly SessionCount[], of: Partial<SessionCount>): number {
  return sessions
    .filter(({ service, backend }) => service === (of.service ?? service) && matches(backend, of))
    .reduce((sum, { count }) => sum + count, 0)
}

function matches(backend: string | undefined, of: Partial<SessionCount>): boolean {
  return of.backend === undefined || of.backend === backend
}

function serviceStatus(service: Service, figures: Figures): ServiceStatus {
  const { settings, sessions, counts, lastMinute } = figures
  const isMail = service === 'smtp' || service === 'lmtp'
  const kind = isMail ? 'message' : 'login'
  const outcomes = under(counts, kind, service)
  const recent = total(under(lastMinute, kind, service))
  return {
    service,
    listeners: settings.listeners
      .filter((listener) => listener.service === service)
      .map((listener) => ({ address: formatAddress(listener), tls: listener.tls })),
    sessions: sessionsIn(sessions, { service }),
    sessions_total: counts[`session:${service}`] ?? 0,
    ...(isMail
      ? { messages: { ...noMessages, ...outcomes } }
      : { logins: { ...noLogins, ...outcomes } }),
    last_minute: {
      sessions: lastMinute[`session:${service}`] ?? 0,
      ...(isMail ? { messages: recent } : { logins: recent }),
      refused: total(under(lastMinute, 'refused', service)),
    },
    refused: under(counts, 'refused', service),
  }
}

function backendStatus(backend: string, figures: Figures): BackendStatus {
  const { settings, sessions, counts } = figures
  const { endpoints = {}, state } = settings.config.backends.get(backend) ?? {}
  return {
    backend,
    ...(state === 'draining' ? { state } : {}),
    sessions: sessionsIn(sessions, { backend }),
    protocols: (Object.keys(endpoints) as BackendProtocol[]).map((protocol) =>
      protocolStatus(backend, protocol, figures),
    ),
    errors: countsOf(counts, 'backend_error')
      .filter(({ labels }) => labels[0] === backend)
      .map(({ labels: [, step, reason], count }) => ({
        step: step as BackendStep,
        reason: reason as BackendReason,
        count,
      })),
  }
}

function protocolStatus(
  backend: string,
  protocol: BackendProtocol,
  figures: Figures,
): ProtocolStatus {
  const { health } = figures
  const { state, since, lastError } = health.of(backend, protocol)
  const breaker = breakerOf(backend, protocol, figures.breakers)
  return {
    protocol,
    state,
    since: new Date(since).toISOString(),
    ...usageOf(backend, protocol, figures),
    ...(breaker === undefined ? {} : { breaker }),
    ...(lastError === undefined
      ? {}
      : { last_error: { ...lastError, at: new Date(lastError.at).toISOString() } }),
  }
}

type Usage = Omit<ProtocolStatus, 'protocol' | 'state' | 'since' | 'breaker' | 'last_error'>

/** What services had to do with a port. */
function usageOf(backend: string, protocol: BackendProtocol, figures: Figures): Usage {
  const { settings, sessions, counts, lastMinute } = figures
  const isMail = protocol === 'smtp' || protocol === 'lmtp'
  // Of two ports for messages, the one that they go to, however they came.
  const isUsed = protocolOf(settings.config, backend, protocol) === protocol
  const services: readonly Service[] = !isUsed ? [] : isMail ? ['smtp', 'lmtp'] : [protocol]
  const sumUp = (countOf: (service: Service) => number): number =>
    services.reduce((sum, service) => sum + countOf(service), 0)
  const own = (from: Counts): Record<string, number> => {
    if (!isUsed) return {}
    return isMail
      ? under(from, 'backend_message', backend)
      : under(from, 'backend_login', backend, protocol)
  }
  const failures = (from: Counts): number =>
    sumUp((service) => from[`backend_failure:${backend},${service}`] ?? 0)
  const delivered = isUsed ? (counts[`delivery:${backend},delivered`] ?? 0) : 0
  return {
    sessions: sumUp((service) => sessionsIn(sessions, { service, backend })),
    ...(isMail
      ? { messages: { ...noMessages, spooled: 0, ...own(counts), delivered } }
      : { logins: { ...noLogins, ...own(counts) } }),
    failures: failures(counts),
    last_minute: { requests: total(own(lastMinute)), failures: failures(lastMinute) },
  }
}

const order: readonly BreakerState[] = ['closed', 'half-open', 'open']

/** Each worker has its own. */
export function breakerOf(
  backend: string,
  protocol: BackendProtocol,
  breakers: readonly BreakerReport[],
): BreakerState | undefined {
  if (protocol !== 'smtp' && protocol !== 'lmtp') return undefined
  const states = breakers.filter((of) => of.backend === backend && of.protocol === protocol)
  return order[Math.max(0, ...states.map(({ state }) => order.indexOf(state)))]
}
