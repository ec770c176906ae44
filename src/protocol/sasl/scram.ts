/**
 * The messages of SCRAM (RFC 5802, RFC 7677), as far as who only carries them must understand them:
 * whose they are, and whether each is what it should be. No password is known, no proof is checked.
 * Octets are latin1 strings.
 */
import { decodeBase64, encodeBase64, isOwnIdentity, readName, type Unusable } from '../sasl.ts'
import { decodeSaslName, saslNamePattern } from './sasl-name.ts'

export interface ClientFirst {
  readonly kind: 'name'
  /** The user's name, decoded from UTF-8. */
  readonly login: string
  /** What the last message must repeat: `n,,` or `y,,`, with an authorization identity or without. */
  readonly header: string
  readonly nonce: string
}

/** What a server says first. */
export interface ServerFirst {
  /** The client's, and the server's own behind it. */
  readonly nonce: string
  /** Octets. */
  readonly salt: string
  readonly iterations: number
}

// `p=` asks for channel binding, which ends at us. Of extensions none is known; a server passes over
// those that are not mandatory, and a mandatory one, `m=`, stands before the name.
const clientFirstForm = new RegExp(
  String.raw`^([ny],(?:a=(${saslNamePattern}))?,)n=(${saslNamePattern}),r=([!-+\--~]+)(?:,[A-Za-z]=[^\0,]+)*$`,
)
const serverFirstForm = /^r=([!-+\--~]+),s=([^,]+),i=([1-9]\d{0,8})(?:,[A-Za-z]=[^\0,]+)*$/
const clientFinalForm = /^c=([^,]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^\0,]+)*,p=([^,]+)$/
const verifierForm = /^v=([^,]+)(?:,[A-Za-z]=[^\0,]+)*$/
const errorForm = /^e=[^\0,]+(?:,|$)/

export function readClientFirst(message: string): ClientFirst | Unusable {
  const match = clientFirstForm.exec(message)
  if (match === null) return { kind: 'unusable', hasControl: message.includes('\0') }
  const [, header = '', authzid = '', user = '', nonce = ''] = match
  const read = readName(decodeSaslName(user))
  if (read.kind === 'unusable') return read
  if (!isOwnIdentity(authzid, user)) return { kind: 'unusable', hasControl: false }
  return { ...read, header, nonce }
}

/** Undefined where it is none, or none to this client. */
export function readServerFirst(message: string, clientNonce: string): ServerFirst | undefined {
  const [, nonce = '', encoded = '', iterations] = serverFirstForm.exec(message) ?? []
  const salt = decodeBase64(encoded) ?? ''
  const isOurs = nonce.startsWith(clientNonce) && nonce.length > clientNonce.length
  if (!isOurs || salt === '') return undefined
  return { nonce, salt, iterations: Number(iterations) }
}

export function writeServerFirst({ nonce, salt, iterations }: ServerFirst): string {
  return `r=${nonce},s=${encodeBase64(salt)},i=${iterations}`
}

/** Whether this ends what was begun with that header and that nonce. */
export function isClientFinal(message: string, header: string, nonce: string): boolean {
  const [, binding, repeated, proof] = clientFinalForm.exec(message) ?? []
  if (binding === undefined || proof === undefined) return false
  return binding === encodeBase64(header) && repeated === nonce && isBase64(proof)
}

/** The server's last word: its signature, or what it does not like; undefined where it is neither. */
export function readServerFinal(message: string): 'verifier' | 'error' | undefined {
  const [, verifier] = verifierForm.exec(message) ?? []
  if (verifier !== undefined) return isBase64(verifier) ? 'verifier' : undefined
  return errorForm.test(message) ? 'error' : undefined
}

function isBase64(text: string): boolean {
  return (decodeBase64(text) ?? '') !== ''
}
