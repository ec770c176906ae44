/**
 * The metrics by name, kind and labels. Names are a contract: docs/metrics.md lists them, and a test
 * compares the two. Labels have few values each: services, names of the config, words of the code.
 */
import type { CounterName } from '../count-event.ts'

export interface Definition {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  /** What one of the counter is worth; 1 where absent. */
  readonly scale?: number
}

/** A metric for each counter; its labels are the counter's, in their order. */
export const counterMetrics: Readonly<Record<CounterName, Definition>> = {
  session: {
    name: 'mailmux_sessions_total',
    help: 'Sessions begun.',
    labels: ['proto'],
  },
  session_end: {
    name: 'mailmux_session_ends_total',
    help: 'Sessions ended, by what ended them.',
    labels: ['proto', 'end'],
  },
  login: {
    name: 'mailmux_logins_total',
    help: 'Logins, by outcome.',
    labels: ['proto', 'outcome'],
  },
  login_held: {
    name: 'mailmux_logins_held_total',
    help: 'Logins that waited while their user was frozen, by how that ended.',
    labels: ['proto', 'outcome'],
  },
  message: {
    name: 'mailmux_messages_total',
    help: 'Messages, by the final reply to their sender.',
    labels: ['proto', 'outcome'],
  },
  refused: {
    name: 'mailmux_refused_total',
    help: 'Clients refused, by reason.',
    labels: ['proto', 'reason'],
  },
  client_certificate: {
    name: 'mailmux_client_certificates_useless_total',
    help: 'Certificates of clients that logged nobody in, by what was wrong with them.',
    labels: ['proto', 'reason'],
  },
  backend_error: {
    name: 'mailmux_backend_errors_total',
    help: 'What went wrong with a back-end, by step and reason.',
    labels: ['backend', 'step', 'reason'],
  },
  backend_failure: {
    name: 'mailmux_backend_failures_total',
    help: 'What went wrong with a back-end, by the service that needed it.',
    labels: ['backend', 'proto'],
  },
  backend_login: {
    name: 'mailmux_backend_logins_total',
    help: 'Logins tried at a back-end, by outcome.',
    labels: ['backend', 'proto', 'outcome'],
  },
  backend_message: {
    name: 'mailmux_backend_messages_total',
    help: 'Messages that had this among their back-ends, by the final reply or the spool.',
    labels: ['backend', 'outcome'],
  },
  uncertain: {
    name: 'mailmux_uncertain_total',
    help: 'Messages of which it is not known whether the back-end has them.',
    labels: ['proto', 'backend'],
  },
  client_gone: {
    name: 'mailmux_client_gone_total',
    help: 'Messages whose client did not wait for the reply: it sends them again.',
    labels: ['proto'],
  },
  unreported: {
    name: 'mailmux_unreported_total',
    help: 'Recipients refused by a back-end of whom no sender is told.',
    labels: ['proto', 'backend'],
  },
  spool_accepted: {
    name: 'mailmux_spool_accepted_total',
    help: 'Messages taken into the spool.',
    labels: [],
  },
  spool_quarantined: {
    name: 'mailmux_spool_quarantined_total',
    help: 'Messages of the spool set aside, by reason.',
    labels: ['reason'],
  },
  delivery: {
    name: 'mailmux_deliveries_total',
    help: 'Outcomes of deliveries from the spool, by back-end.',
    labels: ['backend', 'outcome'],
  },
  report: {
    name: 'mailmux_reports_total',
    help: 'Notifications written to senders, by kind.',
    labels: ['kind'],
  },
  internal: {
    name: 'mailmux_internal_total',
    help: 'Faults of mailmux itself; log_drop: lines of the log that nobody read.',
    labels: ['reason'],
  },
  loop_stall: {
    name: 'mailmux_loop_stalls_total',
    help: 'How often a worker could do nothing for more than 100 ms.',
    labels: [],
  },
  loop_stall_ms: {
    name: 'mailmux_loop_stall_seconds_total',
    help: 'How long workers could do nothing in such stalls.',
    labels: [],
    scale: 0.001,
  },
}

/** Counted by the journal of moves, and by no worker. */
export const stragglersMetric: Definition = {
  name: 'mailmux_move_stragglers_total',
  help: 'Messages that came to back-ends which their users had left, and were brought over.',
  labels: [],
}

export const gaugeMetrics = {
  info: { name: 'mailmux_info', help: 'Always 1.', labels: ['version'] },
  startTime: {
    name: 'mailmux_start_time_seconds',
    help: 'When the daemon started; seconds of the epoch.',
    labels: [],
  },
  sessions: { name: 'mailmux_sessions', help: 'Sessions open now.', labels: ['proto'] },
  backendSessions: {
    name: 'mailmux_backend_sessions',
    help: 'Sessions open now that have got as far as this back-end.',
    labels: ['backend', 'proto'],
  },
  backendUp: {
    name: 'mailmux_backend_up',
    help: '1 where the port answered when last used or probed, 0 where not; absent while unknown.',
    labels: ['backend', 'proto'],
  },
  backendBreaker: {
    name: 'mailmux_backend_breaker',
    help: 'Whether new connections are tried: 0 they are (closed), 1 one decides, 2 not now (open).',
    labels: ['backend', 'proto'],
  },
  mapGeneration: {
    name: 'mailmux_map_generation',
    help: 'Generation of the map in force.',
    labels: [],
  },
  mapBuilt: {
    name: 'mailmux_map_built_time_seconds',
    help: 'When the base of the map was built; seconds of the epoch.',
    labels: [],
  },
  mapAge: {
    name: 'mailmux_map_age_seconds',
    help: 'Seconds since the base of the map was built.',
    labels: [],
  },
  mapUsers: { name: 'mailmux_map_users', help: 'Users that the map names.', labels: [] },
  frozenUsers: {
    name: 'mailmux_frozen_users',
    help: 'Users who are frozen for a move.',
    labels: [],
  },
  moves: { name: 'mailmux_moves', help: 'Moves of users, by step.', labels: ['step'] },
  loginAlarm: {
    name: 'mailmux_login_alarm',
    help: '1 while more logins fail in a minute than limits.auth_failures_alarm.',
    labels: [],
  },
  workers: { name: 'mailmux_workers', help: 'Workers, by state.', labels: ['state'] },
  queueServing: {
    name: 'mailmux_queue_serving',
    help: '1 where the process that delivers from the spool serves; absent where none is needed.',
    labels: [],
  },
  spoolMessages: {
    name: 'mailmux_spool_messages',
    help: 'Messages in the spool: live (tried now), deferred (waiting), quarantined (kept aside).',
    labels: ['state'],
  },
  spoolBytes: {
    name: 'mailmux_spool_bytes',
    help: 'Octets of the messages that are to be delivered from the spool.',
    labels: [],
  },
  spoolOldest: {
    name: 'mailmux_spool_oldest_age_seconds',
    help: 'Age of the oldest message that is to be delivered; 0 where there is none.',
    labels: [],
  },
  workerRestarts: {
    name: 'mailmux_worker_restarts',
    help: 'Workers and queues that were replaced, of those places that there are now.',
    labels: [],
  },
  workerMemory: {
    name: 'mailmux_worker_resident_memory_bytes',
    help: 'Memory in use by all workers and the queue.',
    labels: [],
  },
  ready: { name: 'mailmux_ready', help: '1 where /readyz says so.', labels: [] },
} as const satisfies Readonly<Record<string, Definition>>
