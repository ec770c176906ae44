/** What a client is told that it may do before its login. RFC 9051 section 7.2.2. */
import type { Mechanism } from '../../config/config.ts'
import { givesPassword } from '../sasl/mechanism.ts'

interface Told {
  readonly mechanisms: readonly Mechanism[]
  readonly canStartTls: boolean
  readonly takesCredentials: boolean
  readonly words: string
}

/** Nearly every client is told what the one before it was. */
let last: Told | undefined

/** `mechanisms`: a list that does not change; one that is another may be of the same words. */
export function capabilitiesFor(
  mechanisms: readonly Mechanism[],
  canStartTls: boolean,
  takesCredentials: boolean,
): string {
  const known = last
  const isSame = known?.mechanisms === mechanisms && known.canStartTls === canStartTls
  if (isSame && known.takesCredentials === takesCredentials) return known.words
  const words = ['IMAP4rev1', 'LITERAL-', 'SASL-IR', 'ID']
  if (canStartTls) words.push('STARTTLS')
  const takesPasswords =
    takesCredentials && mechanisms.some((mechanism) => givesPassword(mechanism))
  if (!takesPasswords) words.push('LOGINDISABLED')
  if (takesCredentials) words.push(...mechanisms.map((name) => `AUTH=${name}`))
  last = { mechanisms, canStartTls, takesCredentials, words: words.join(' ') }
  return last.words
}
