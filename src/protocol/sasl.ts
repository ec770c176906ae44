/**
 * SASL PLAIN (RFC 4616) as every protocol's front end reads it, and what may be in credentials at
 * all. Octets are latin1 strings. The other mechanisms are in sasl/*.
 */
import type { Credentials } from './login.ts'

/** Well-formed, but nobody can be meant: to be answered as a wrong password is. */
export type Unusable = { readonly kind: 'unusable'; readonly hasControl: boolean }

export type ReadCredentials =
  | { readonly kind: 'credentials'; readonly credentials: Credentials }
  /** Not base64: a fault of syntax, to be answered as one. */
  | { readonly kind: 'malformed' }
  | Unusable

// oxlint-disable-next-line no-control-regex -- control octets are what is looked for
const controlOctets = /[\u0000-\u001f\u007f]/
// oxlint-disable-next-line no-control-regex -- what could end a line or a string early at a back-end
const lineBreakers = /[\u0000\r\n]/
const ascii = /^[\u0020-\u007e]*$/
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function foldAscii(octets: string): string {
  return octets.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function unusable(hasControl: boolean): Unusable {
  return { kind: 'unusable', hasControl }
}

/** Octets of UTF-8 as text; undefined where they are none. */
function decodeUtf8(octets: string): string | undefined {
  if (ascii.test(octets)) return octets
  try {
    return utf8.decode(Buffer.from(octets, 'latin1'))
  } catch {
    return undefined
  }
}

/** Judges a name and a password as they came, before anything is done with them. */
export function readCredentials(name: string, password: string): ReadCredentials {
  const read = readName(name)
  if (read.kind === 'unusable') return read
  if (password === '') return unusable(false)
  if (lineBreakers.test(password)) return unusable(true)
  return { kind: 'credentials', credentials: { login: read.login, password } }
}

/** Judges a name alone, as it came. */
export function readName(
  name: string,
): { readonly kind: 'name'; readonly login: string } | Unusable {
  if (controlOctets.test(name)) return unusable(true)
  const login = decodeUtf8(name)
  return login === undefined || login === '' ? unusable(false) : { kind: 'name', login }
}

/** UTF-8 of a name. */
export function octetsOf(name: string): string {
  return Buffer.from(name, 'utf8').toString('latin1')
}

/** Octets of base64 as it must be sent, padded and without spaces; undefined where it is none. */
export function decodeBase64(text: string): string | undefined {
  return base64.test(text) ? Buffer.from(text, 'base64').toString('latin1') : undefined
}

export function encodeBase64(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('base64')
}

/** An authorization identity may only repeat the authentication identity, or be left out. */
export function isOwnIdentity(authzid: string, name: string): boolean {
  return authzid === '' || foldAscii(authzid) === foldAscii(name)
}

/**
 * Reads the client's message of PLAIN, in base64 as it was sent: `authzid NUL authcid NUL password`.
 */
export function readPlain(response: string): ReadCredentials {
  const message = decodeBase64(response) ?? ''
  if (message === '') return { kind: 'malformed' }
  const parts = message.split('\0')
  const [authzid = '', name = '', password = ''] = parts
  if (parts.length !== 3) return unusable(true)
  if (!isOwnIdentity(authzid, name)) return unusable(false)
  return readCredentials(name, password)
}

/** Whether this cannot be part of a line or of a message of PLAIN without ending it early. */
export function breaksLines(octets: string): boolean {
  return lineBreakers.test(octets)
}

/** The client's message of PLAIN in base64. */
export function writePlain({ login, password, actsFor = '' }: Credentials): string {
  return encodeBase64(`${octetsOf(actsFor)}\0${octetsOf(login)}\0${password}`)
}
