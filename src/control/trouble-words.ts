/** What went wrong with a back-end, in plain words. */
import type { BackendReason, BackendStep } from '../base/log.ts'
import type { ProtocolStatus } from './messages.ts'

const steps: Readonly<Record<BackendStep | 'probe', string>> = {
  connect: 'when connecting',
  tls: 'at the TLS handshake',
  greeting: 'at its greeting',
  hello: 'at EHLO',
  login: 'at a login',
  envelope: 'at MAIL and RCPT',
  data: 'while it got a message',
  end_of_data: 'at the end of a message',
  session: 'in a session',
  probe: 'when probed',
}

const reasons: Readonly<Record<BackendReason, string>> = {
  refused: 'no connection',
  crowded: 'as many logins as may be are under way there',
  no_descriptor: 'this host has too many files open to connect',
  timeout: 'no answer in time',
  closed: 'it hung up',
  bad_banner: 'it did not greet as it should',
  bad_reply: 'an answer that is not understood',
  desync: 'an answer to nothing that was asked',
  preauth: 'it took us for logged in already',
  starttls_surplus: 'it said more than it may before TLS',
  tls_unavailable: 'it offers no TLS',
  tls_handshake: 'TLS failed',
  cert: 'its certificate is not good',
  login_unavailable: 'it takes no logins now',
  admin_refused: 'it refuses the login of our administrator',
  no_mechanism: 'it offers no way to log in that we know',
}

export function troubleOf(error: NonNullable<ProtocolStatus['last_error']>): string {
  const { step, reason, text } = error
  const what = reason === undefined ? text : `${reasons[reason]} (${text})`
  return `${steps[step]}: ${what}`
}
