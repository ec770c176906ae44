/** The name that a client typed at login → the user it means. RFC 5321 addresses or bare names. */
import { limits } from '../base/limit.ts'
import { type Address, type Naming, parseAddress } from './address.ts'

/**
 * Undefined where the name is ambiguous, too long or unusable: such a login is answered as a wrong
 * password is. `*` is refused since Dovecot reads `user*master` as an administrator's login.
 */
export function parseLogin(login: string, naming: Naming): Address | undefined {
  if (Buffer.byteLength(login) > limits.loginNameBytes || login.includes('*')) return undefined
  if (/[\s\\]/u.test(login)) return undefined
  return parseAddress(login, naming)
}
