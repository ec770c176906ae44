/**
 * TLS towards clients: contexts from PEM text, the choice among certificates by the name that the
 * client asks for, and the upgrade of an accepted socket, for STARTTLS and implicit TLS alike.
 *
 * No renegotiation; ciphers and groups in the order of what they cost: AES-128-GCM with SHA-256 and
 * X25519 come first. Sessions are resumed by tickets, at the service that gave them alone.
 *
 * A ticket holds the certificate that its client has shown and what was found of it, so a session that
 * is resumed has the identity that it began with. With other authorities no ticket from before is good.
 */
import { constants, createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import {
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type SecureVersion,
} from 'node:tls'
import { MailmuxError, messageOf } from '../base/error.ts'
import { directTls } from './direct/direct-sockets.ts'
import { TlsContexts } from './direct/tls-contexts.ts'

export interface ServerTls {
  /** What clients of one service see. */
  forService(service: TlsService): ServiceTls
}

export interface TlsService {
  readonly name: string
  /** The protocol's name by ALPN (RFC 7301): a client that offers names, and not this one, is refused. */
  readonly alpn: string
  /** Under which sessions can be resumed; 48 octets. */
  readonly ticketKey: Buffer
  /** Clients may show certificates, where there are authorities for them. */
  readonly takesCertificates?: boolean
}

export interface ServiceTls {
  readonly alpn: string
  readonly defaultContext: SecureContext
  /** How many certificates there are to choose from. */
  readonly size: number
  /** Clients can be asked for theirs. */
  readonly takesCertificates: boolean
  /** The context for a name that a client asks for (SNI). */
  contextFor(serverName: string): SecureContext
  /** The same for direct sockets, where this process has such. */
  readonly direct: TlsContexts | undefined
}

/** A certificate chain and its key, as PEM text. */
export interface CertificatePair {
  readonly cert: string
  readonly key: string
}

/** Who vouches for clients, as PEM texts. */
export interface ClientAuthorities {
  /** Each is believed by itself, whoever has signed it. */
  readonly ca: string
  /** Revocation lists: one of each, which then must go up to the top; undefined: nothing is revoked. */
  readonly crl: string | undefined
}

/** Of TLS 1.3. */
const suites = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
].join(':')

/** Of TLS 1.2. */
const oldCiphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const ciphers = `${suites}:${oldCiphers}`

const ecdhCurve = 'X25519:P-256:P-384'

/** How long a session can be resumed, while its ticket's key is in use. */
const resumableS = 7200

/**
 * Contexts for what clients see; the first certificate is shown to those that ask for no name or
 * for an unknown one. Throws TLS_UNUSABLE.
 */
export function createServerTls(
  certificates: readonly CertificatePair[],
  minVersion: SecureVersion,
  authorities?: ClientAuthorities,
): ServerTls {
  if (certificates.length === 0) throw new MailmuxError('TLS_UNUSABLE', 'no certificate is given')
  for (const pair of certificates) checkPair(pair, minVersion)
  if (authorities !== undefined) checkAuthorities(authorities)
  // A key of tickets is in a context for good: another key needs others.
  const made = new Map<string, { readonly ticketKey: Buffer; readonly tls: ServiceTls }>()
  return {
    forService(service) {
      const { name, ticketKey, takesCertificates } = service
      const known = made.get(name)
      if (known?.ticketKey.equals(ticketKey) === true) return known.tls
      const trusted = takesCertificates === true ? authorities : undefined
      const tls = serviceTls(certificates, minVersion, service, trusted)
      made.set(name, { ticketKey, tls })
      return tls
    },
  }
}

function serviceTls(
  certificates: readonly CertificatePair[],
  minVersion: SecureVersion,
  { name, alpn, ticketKey }: TlsService,
  authorities: ClientAuthorities | undefined,
): ServiceTls {
  const tickets = {
    ticketKeys: ticketKey,
    sessionIdContext: authorities === undefined ? name : sessionsUnder(name, authorities),
    sessionTimeout: resumableS,
  }
  // Without `ca` anybody would be believed whom an authority of the web believes.
  const trust = authorities === undefined ? {} : trustOptions(authorities)
  const choices = certificates.map((pair) => ({
    leaf: leafOf(pair.cert),
    context: createSecureContext({ ...serverOptions(pair, minVersion), ...tickets, ...trust }),
  }))
  const indexFor = (serverName: string): number =>
    choices.findIndex(({ leaf }) => leaf.checkHost(serverName) !== undefined)
  const [first] = choices
  if (first === undefined) throw new Error('a service without a certificate')
  return {
    alpn,
    defaultContext: first.context,
    size: choices.length,
    takesCertificates: authorities !== undefined,
    contextFor: (serverName) => (choices[indexFor(serverName)] ?? first).context,
    direct: directContexts(certificates, minVersion, tickets, indexFor),
  }
}

interface Tickets {
  readonly ticketKeys: Buffer
  readonly sessionIdContext: string
}

/** Undefined where Node has to do it: it is the one that says what is wrong. */
function directContexts(
  certificates: readonly CertificatePair[],
  leastVersion: SecureVersion,
  { ticketKeys, sessionIdContext }: Tickets,
  indexFor: (serverName: string) => number,
): TlsContexts | undefined {
  const openSsl = directTls()?.openSsl
  if (openSsl === undefined || (leastVersion !== 'TLSv1.2' && leastVersion !== 'TLSv1.3')) {
    return undefined
  }
  const own = { certificates, ticketKey: ticketKeys, indexFor }
  const sessions = Buffer.from(sessionIdContext, 'latin1')
  const words = { suites, ciphers: oldCiphers, groups: ecdhCurve }
  try {
    return new TlsContexts(openSsl, { ...own, ...words, leastVersion, sessions, resumableS })
  } catch {
    return undefined
  }
}

/** A name of 32 octets at most for the sessions of a service whose clients these vouch for. */
function sessionsUnder(name: string, { ca, crl = '' }: ClientAuthorities): string {
  return createHash('sha256').update(`${name}\0${ca}\0${crl}`).digest('base64').slice(0, 32)
}

function trustOptions({ ca, crl }: ClientAuthorities) {
  const lists = crl === undefined ? {} : { crl: blocksOf(crl, 'X509 CRL') }
  return { ca, allowPartialTrustChain: true, ...lists }
}

function serverOptions({ cert, key }: CertificatePair, minVersion: SecureVersion) {
  return {
    cert,
    key,
    minVersion,
    ciphers,
    ecdhCurve,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  }
}

function checkPair(pair: CertificatePair, minVersion: SecureVersion): void {
  leafOf(pair.cert)
  try {
    // An empty key would be taken, and every handshake would fail.
    if (!new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key))) {
      throw new Error('they do not belong together')
    }
    createSecureContext(serverOptions(pair, minVersion))
  } catch (error) {
    throw new MailmuxError('TLS_UNUSABLE', `certificate and key: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function checkAuthorities(authorities: ClientAuthorities): void {
  const all = blocksOf(authorities.ca, 'CERTIFICATE').map(leafOf)
  // OpenSSL asks for a list of each authority, and believes it by the certificate of who signs it.
  const lone = all.find((one) => !all.some((other) => one.checkIssued(other)))
  if (authorities.crl !== undefined && lone !== undefined) {
    const text = `revocation lists: ${lone.subject}: who has signed it is not among them`
    throw new MailmuxError('TLS_UNUSABLE', text)
  }
  try {
    createSecureContext(trustOptions(authorities))
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    const text = `authorities or revocation lists: ${messageOf(error)}`
    throw new MailmuxError('TLS_UNUSABLE', text, { cause: error })
  }
}

/** Parts of a PEM text. Behind one that cannot be read, OpenSSL would pass over all others. */
function blocksOf(text: string, label: 'CERTIFICATE' | 'X509 CRL'): string[] {
  const begun = text.match(/-----BEGIN /g)?.length ?? 0
  const form = new RegExp(`-----BEGIN ${label}-----[^-]*-----END ${label}-----`, 'g')
  const whole = text.match(form) ?? []
  if (whole.length > 0 && whole.length === begun) return whole
  throw new MailmuxError('TLS_UNUSABLE', `not PEM text of ${label} alone`)
}

function leafOf(cert: string): X509Certificate {
  try {
    return new X509Certificate(cert)
  } catch (error) {
    throw new MailmuxError('TLS_UNUSABLE', `certificate: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Trust towards a back-end: the authorities in `ca` (PEM text), the system's where undefined; and what
 * it is shown of ourselves. Throws TLS_UNUSABLE.
 */
export function createBackendTls(ca: string | undefined, client?: CertificatePair): SecureContext {
  if (client !== undefined) checkPair(client, 'TLSv1.2')
  try {
    // A text without any certificate would be taken, and then nothing trusted or everything refused.
    if (ca !== undefined) leafOf(ca)
    const authorities = ca ?? systemAuthorities()
    const own = client === undefined ? {} : { cert: client.cert, key: client.key }
    return createSecureContext({
      ca: authorities,
      minVersion: 'TLSv1.2',
      ciphers,
      ecdhCurve,
      ...own,
    })
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    throw new MailmuxError('TLS_UNUSABLE', `authorities: ${messageOf(error)}`, { cause: error })
  }
}

function systemAuthorities(): string[] {
  const own = getCACertificates('system')
  return own.length > 0 ? own : getCACertificates('bundled')
}
