/** Which counters an event moves: events and counters cannot disagree, since one derives the other. */
import type { EventFields, EventName } from '../base/log.ts'
import type { Counters } from './runtime.ts'

/** The counter of each event that is counted. */
export const counterNames = {
  refuse: 'refused',
  'client.certificate': 'client_certificate',
  backend: 'backend_error',
  internal: 'internal',
  message: 'message',
  'login.held': 'login_held',
  uncertain: 'uncertain',
  client_gone: 'client_gone',
  unreported: 'unreported',
  'spool.accepted': 'spool_accepted',
  'spool.quarantined': 'spool_quarantined',
  delivery: 'delivery',
  report: 'report',
  'session.end': 'session_end',
} as const satisfies Partial<Record<EventName, string>>

/** Further counters; those of logins and sessions are moved where these are known. */
export type CounterName =
  | (typeof counterNames)[keyof typeof counterNames]
  | 'session'
  | 'login'
  | 'backend_failure'
  | 'backend_login'
  | 'backend_message'
  | 'loop_stall'
  | 'loop_stall_ms'

type CountOf = { readonly [Name in EventName]?: (fields: EventFields[Name]) => string }

/** Labels, joined with a comma, of the counter that bears the name in `counterNames`. */
const labels: CountOf = {
  refuse: ({ service, reason }) => `${service},${reason}`,
  'client.certificate': ({ service, reason }) => `${service},${reason}`,
  backend: ({ backend, step, reason }) => `${backend},${step},${reason}`,
  internal: ({ reason }) => reason,
  'login.held': ({ service, outcome }) => `${service},${outcome}`,
  message: ({ service, code }) => `${service},${outcomeOf(code)}`,
  uncertain: ({ service, backend }) => `${service},${backend}`,
  client_gone: ({ service }) => service,
  unreported: ({ service, backend }) => `${service},${backend}`,
  'spool.accepted': () => '',
  'spool.quarantined': ({ reason }) => reason,
  delivery: ({ backend = '', result }) => `${backend},${result}`,
  report: ({ kind }) => kind,
  'session.end': ({ service, end }) => `${service},${end}`,
}

export function countEvent<Name extends EventName>(
  counters: Counters,
  name: Name,
  fields: EventFields[Name],
): void {
  const counter = (counterNames as Partial<Record<EventName, string>>)[name]
  if (counter === undefined) return
  counters.count(counter, labels[name]?.(fields))
  if (name === 'backend') {
    const { backend, service } = fields as EventFields['backend']
    counters.count('backend_failure', `${backend},${service}`)
  } else if (name === 'message') {
    const {
      backend,
      code,
      queued_for: kept = '',
      refused_by: refused = '',
    } = fields as EventFields['message']
    // A message may have several back-ends.
    for (const one of backend.split(',')) {
      const other = isAmong(refused, one) ? 'refused' : outcomeOf(code)
      counters.count('backend_message', `${one},${isAmong(kept, one) ? 'spooled' : other}`)
    }
  }
}

function isAmong(names: string, name: string): boolean {
  return names !== '' && names.split(',').includes(name)
}

function outcomeOf(code: number): 'accepted' | 'deferred' | 'refused' {
  if (code < 300) return 'accepted'
  return code < 500 ? 'deferred' : 'refused'
}
