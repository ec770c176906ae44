/**
 * The client's message of OAUTHBEARER (RFC 7628) and XOAUTH2: read for the name that is in it, and
 * written with the name that the back-end knows. The token is nobody's business but the back-end's.
 * Octets are latin1 strings.
 */
import { octetsOf, readName, type Unusable } from '../sasl.ts'
import { decodeSaslName, encodeSaslName, saslNamePattern } from './sasl-name.ts'

export interface Bearer {
  readonly kind: 'name'
  /** The user's name, decoded from UTF-8. */
  readonly login: string
}

type Mechanism = 'OAUTHBEARER' | 'XOAUTH2'

// `p=` asks for channel binding, which ends at us.
const bearerForm = new RegExp(
  String.raw`^[ny],a=(${saslNamePattern}),\x01((?:[A-Za-z]+=[\t -~]*\x01)+)\x01$`,
)
const xoauth2Form = new RegExp(String.raw`^user=([^\x01]+)\x01((?:[A-Za-z]+=[\t -~]*\x01)+)\x01$`)
const tokenForm = new RegExp(String.raw`(?:^|\x01)auth=Bearer [!-~]+\x01`, 'i')

export function readBearer(mechanism: Mechanism, message: string): Bearer | Unusable {
  const match = (mechanism === 'OAUTHBEARER' ? bearerForm : xoauth2Form).exec(message)
  const [, name = '', pairs = ''] = match ?? []
  if (match === null || !tokenForm.test(pairs)) {
    return { kind: 'unusable', hasControl: /[\0\r\n]/.test(message) }
  }
  return readName(mechanism === 'OAUTHBEARER' ? decodeSaslName(name) : name)
}

/** The same message for a user with another name. `message` has been read. */
export function renameBearer(mechanism: Mechanism, message: string, login: string): string {
  const octets = octetsOf(login)
  if (mechanism === 'XOAUTH2') return `user=${octets}${message.slice(message.indexOf('\x01'))}`
  const name = encodeSaslName(octets)
  return message.replace(/^([ny]),a=[^,]+/, (_, flag: string) => `${flag},a=${name}`)
}
