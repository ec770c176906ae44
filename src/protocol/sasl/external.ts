/**
 * The client's message of EXTERNAL (RFC 4422 appendix A): an authorization identity, or nothing. Who
 * the client is was proven outside of it. Octets are latin1 strings.
 */
import { readName, type Unusable } from '../sasl.ts'

export interface Claim {
  readonly kind: 'claim'
  /** Whom the client asks to be, decoded from UTF-8; '' where it leaves that to its certificate. */
  readonly login: string
}

export function readExternal(message: string): Claim | Unusable {
  if (message === '') return { kind: 'claim', login: '' }
  const read = readName(message)
  return read.kind === 'name' ? { kind: 'claim', login: read.login } : read
}
