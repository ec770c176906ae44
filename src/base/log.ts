/**
 * The events that daemons report, with the fields of each. Names and fields are a contract: they
 * are listed in docs/events.md (a test compares the two), and counters carry the same names.
 * Secrets and raw bytes of a peer have no field to go in.
 */
export type ServiceName = 'smtp' | 'lmtp' | 'imap' | 'pop3' | 'sieve' | 'submission'

/** What a back-end is spoken to with. */
export type BackendProtocolName = ServiceName

/** Why a peer was refused; the label of the counter `refused`. */
export type RefusalReason =
  | 'auth_failures'
  | 'auth_parallel'
  | 'auth_rate'
  | 'bad_commands'
  | 'bare_cr'
  | 'bare_lf'
  | 'bdat_unadvertised'
  | 'cleartext_login'
  | 'conn_limit'
  | 'conn_rate'
  | 'ctl_in_command'
  | 'ctl_in_credentials'
  | 'early_talker'
  | 'http_on_smtp'
  | 'ip_limit'
  | 'line_too_long'
  | 'literal_too_big'
  | 'loop'
  | 'message_rate'
  | 'message_too_big'
  | 'move_freeze'
  | 'nul_in_data'
  | 'preauth_timeout'
  | 'proxy_hdr'
  | 'rcpt_harvest'
  | 'rcpt_rate'
  | 'idle_timeout'
  | 'relay_denied'
  | 'sender_denied'
  | 'slow_data'
  | 'starttls_pipelined'
  | 'tls_handshake'
  | 'unauth_pipelining'
  | 'unparsed_limit'
  | 'xclient_denied'

/** Why a client's certificate is of no use; field `reason` of `client.certificate`. */
export type CertificateReason = 'unverified' | 'no_user' | 'ambiguous' | 'other_user'

/** What went wrong with a back-end; the label `reason` of the counter `backend_error`. */
export type BackendReason =
  | 'refused'
  | 'crowded'
  | 'no_descriptor'
  | 'timeout'
  | 'closed'
  | 'bad_banner'
  | 'bad_reply'
  | 'desync'
  | 'preauth'
  | 'starttls_surplus'
  | 'tls_unavailable'
  | 'tls_handshake'
  | 'cert'
  | 'login_unavailable'
  | 'no_mechanism'
  | 'admin_refused'

export type BackendStep =
  | 'connect'
  | 'tls'
  | 'greeting'
  | 'hello'
  | 'login'
  | 'envelope'
  | 'data'
  | 'end_of_data'
  | 'session'

/** Why a message is kept aside; the label of the counter `spool_quarantined`. */
export type QuarantineReason =
  | 'damaged'
  | 'not_a_file'
  | 'linked'
  | 'wrong_owner'
  | 'unreadable'
  | 'unsynced'
  | 'poison'
  | 'double_bounce'
  | 'unreportable'

/** How a session ended; field `end` of `session.end`. */
export type SessionEnd =
  | 'logout'
  | 'client_closed'
  | 'backend_closed'
  | 'client_error'
  | 'backend_error'
  | 'refused'
  | 'shutdown'
  | 'kicked'

interface PeerFields {
  service: ServiceName
  /** Number of the session, unique for the life of the daemon: `worker-counter`. */
  session: string
  /** Address and port of the client. */
  peer: string
}

export interface EventFields {
  'daemon.ready': { pid: number; workers: number; generation: number; listeners: readonly string[] }
  /** Workers run as the user that started the daemon, though another would be better. */
  'daemon.user_kept': { user: string; reason: 'no_user' | 'not_root' }
  'daemon.stopping': { reason: string }
  'daemon.stopped': { drained: boolean }
  /** A new config and map are in force; sessions went on. */
  'reload.done': { generation: number; workers: number; listeners: readonly string[] }
  /** A reload changed nothing. `reason` is the code of the first problem. */
  'reload.refused': { reason: string; problems: readonly string[] }
  /** New workers serve; `sessions` go on in those of before. */
  'restart.done': { workers: number; sessions: number }
  /** A restart changed nothing. */
  'restart.refused': { problems: readonly string[] }
  /** A worker serves. */
  'worker.started': { worker: number; pid: number }
  'worker.exited': { worker: number; pid: number; code: number | null; signal: string | null }
  /** Workers die so often that the next one waits. */
  'worker.delayed': { crashes: number; delay_ms: number }
  /** A worker has not answered its supervisor for so long that it was killed. */
  'worker.hung': { worker: number; pid: number }
  /** A worker could not take the settings that it was given, and was ended. */
  'worker.refused': { worker: number; problems: readonly string[] }
  'session.end': PeerFields & {
    end: SessionEnd
    tls: string
    /** Milliseconds from accept to end. */
    duration_ms: number
    bytes_in: number
    bytes_out: number
    user?: string | undefined
    backend?: string | undefined
    /** SMTP: messages accepted in this session. */
    messages?: number
    generation: number
  }
  /** A login of a frozen user has waited: until the thaw, or in vain, or until its client left. */
  'login.held': PeerFields & {
    user: string
    outcome: 'thawed' | 'in_vain' | 'gone'
    waited_ms: number
  }
  /** One SMTP transaction that reached a final reply after end of data. */
  message: PeerFields & {
    backend: string
    recipients: number
    bytes: number
    code: number
    bare_lf: number
    /** Ids in the spool of what was left over. */
    queue?: string
    /** Back-ends that it is kept for. */
    queued_for?: string
    /** Back-ends that refused it for good, of which its sender is told from the spool. */
    refused_by?: string
    /** Address of whoever sent it to the client, which XFORWARD told. */
    client?: string
  }
  /** The client had gone when the reply to its message was known: it will send it again. */
  client_gone: PeerFields & { code: number }
  refuse: PeerFields & { reason: RefusalReason }
  /** A client's certificate logs nobody in, or not as whom the client has asked for. */
  'client.certificate': PeerFields & { reason: CertificateReason; detail: string }
  backend: PeerFields & {
    backend: string
    step: BackendStep
    reason: BackendReason
    detail: string
  }
  /** A message is in the spool and durable; its sender is told 250. */
  'spool.accepted': { id: string; session: string; peer: string; recipients: number; bytes: number }
  /** All that the spool holds has been found after a start. */
  'spool.ready': { messages: number; bytes: number; quarantined: number; duration_ms: number }
  /** A message is kept where nothing is delivered from. */
  'spool.quarantined': { id: string; reason: QuarantineReason; detail: string }
  /** There is something in the spool that does not belong there; it is left alone. */
  'spool.odd': { name: string }
  /** What became of recipients of a spooled message at one attempt. */
  delivery: {
    id: string
    session: string
    backend?: string
    recipients: number
    result: 'delivered' | 'deferred' | 'failed'
    code?: number
    detail: string
  }
  /** A notification was written and is in the spool as message `id`. */
  report: { id: string; of: string; kind: 'failure' | 'delay' | 'success'; recipients: number }
  /** An administrator has removed a message from the spool. */
  'queue.removed': { id: string; session: string }
  /** The process that delivers from the spool runs. */
  'queue.started': { worker: number; pid: number }
  /** The host's clock was set; waits go on as they were. */
  'clock.stepped': { step_ms: number }
  /** An administrator has ended sessions. */
  'sessions.kicked': { user: string; sessions: number }
  /** A mailbox is frozen; `complete`: nothing is under way to it any more, in any process. */
  'user.frozen': {
    user: string
    epoch: number
    complete: boolean
    sessions: number
    deliveries: number
    waited_ms: number
  }
  'user.thawed': {
    user: string
    epoch: number
    reason: 'asked' | 'expired' | 'superseded'
    frozen_ms: number
  }
  /** More logins fail on this host than are normal, or no longer; `guesses`: in the last minute. */
  'login.alarm': {
    state: 'raised' | 'over'
    guesses: number
    limit: number
    networks: readonly string[]
  }
  /** A port of a back-end stopped answering, or answers again. */
  'backend.state': {
    backend: string
    protocol: BackendProtocolName
    state: 'up' | 'down'
    detail: string
  }
  /**
   * What a back-end offers to those who bring mail or scripts, or how one may log in there by SASL,
   * where it was not known or has changed.
   */
  'backend.offers': {
    backend: string
    protocol: BackendProtocolName
    offers: readonly string[]
  }
  /** The back-end has the message, or may have it, and will get it again. */
  uncertain: PeerFields & { backend: string }
  /** A back-end has answered, after its sender had been told to try again: the worst of its codes. */
  'verdict.late': PeerFields & { backend: string; code: number; waited_ms: number }
  /** A member of an alias was refused for good, and there is no spool to tell the sender from. */
  unreported: PeerFields & { backend: string; code: number }
  /** Changes of the map since its build cannot be read; those read before stay in force. */
  'map.changes_unread': { code: string; detail: string }
  /** What the daemon has had done of a move that was due. */
  'move.settled': {
    user: string
    source: string
    target: string
    swept?: number
    moved?: string
    notes?: readonly string[]
    problems: readonly string[]
  }
  internal: { reason: string; detail: string }
  /** Events of one kind beyond the number that is written in a second; all are counted. */
  'log.suppressed': { of: EventName; key: string; count: number }
  /** Lines lost because nobody read the log. */
  'log.dropped': { count: number }
}

export type EventName = keyof EventFields

/** Reports one event. Never throws and never waits. */
export type Log = <Name extends EventName>(name: Name, fields: EventFields[Name]) => void

/** Text of a peer for a log: control characters as escapes, cut to a bounded length. */
export function printable(text: string, limitChars = 160): string {
  const cut = text.length > limitChars ? `${text.slice(0, limitChars)}…` : text
  // oxlint-disable-next-line no-control-regex -- control bytes are what is looked for
  return cut.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\x${code.toString(16).padStart(2, '0')}`
  })
}
