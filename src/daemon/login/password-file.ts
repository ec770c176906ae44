/**
 * A passwd-file, as Dovecot has it: `user:hash`, and fields behind it that say where mail lies, which
 * back-ends know themselves. A line that asks for more than a password (`nologin`, `allow_nets`) is
 * refused: to let its user in without would be less than was written. An empty hash, and one that
 * begins with `!` or `*`, is nobody's password.
 */
import { MailmuxError } from '../../base/error.ts'
import type { Naming } from '../../mail/address.ts'
import { parseLogin } from '../../mail/login-name.ts'
import { readHash } from './hash-form.ts'

/** uid, gid, gecos, home, shell. */
const fieldsBeforeExtra = 5

/** Hashes by canonical user. Throws SECRET_UNREADABLE with what is wrong in which line. */
export function readPasswords(
  text: string,
  file: string,
  naming: Naming,
): ReadonlyMap<string, string> {
  const hashes = new Map<string, string>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const refuse = (what: string): never => {
      throw new MailmuxError('SECRET_UNREADABLE', `${file}:${index + 1}: ${what}`)
    }
    const [name = '', written = '', ...rest] = line.split(':')
    const user = parseLogin(name, naming)?.key
    if (user === undefined) return refuse('the name is none that a user can have')
    if (hashes.has(user)) return refuse('its user has a line already')
    const extra = rest
      .slice(fieldsBeforeExtra)
      .flatMap((field) => field.split(/\s+/))
      .filter((field) => field !== '' && !field.startsWith('userdb_'))
    if (extra.length > 0) return refuse('extra fields are not supported')
    const isLocked = written === '' || /^[!*]/.test(written)
    const hash = isLocked ? '' : readHash(written)
    if (hash === undefined) {
      return refuse('no hash of SHA-256-crypt, SHA-512-crypt, bcrypt or Argon2')
    }
    hashes.set(user, hash)
  }
  return hashes
}
