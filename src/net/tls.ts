/**
 * TLS towards clients: contexts from PEM text, the choice among certificates by the name that the
 * client asks for, and the upgrade of an accepted socket, for STARTTLS and implicit TLS alike.
 *
 * No renegotiation and no tickets; ciphers and groups in the order of what they cost: AES-128-GCM
 * with SHA-256 and X25519 come first.
 */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type SecureVersion,
  TLSSocket,
} from 'node:tls'
import { MailmuxError, messageOf } from '../base/error.ts'
import { waits } from '../base/limit.ts'

export interface ServerTls {
  readonly defaultContext: SecureContext
  /** How many certificates there are to choose from. */
  readonly size: number
  /** The context for a name that a client asks for (SNI). */
  contextFor(serverName: string): SecureContext
}

/** A certificate chain and its key, as PEM text. */
export interface CertificatePair {
  readonly cert: string
  readonly key: string
}

const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const ecdhCurve = 'X25519:P-256:P-384'

/**
 * Contexts for what clients see; the first certificate is shown to those that ask for no name or
 * for an unknown one. Throws TLS_UNUSABLE.
 */
export function createServerTls(
  certificates: readonly CertificatePair[],
  minVersion: SecureVersion,
): ServerTls {
  const choices = certificates.map((pair) => ({
    leaf: leafOf(pair.cert),
    context: serverContext(pair, minVersion),
  }))
  const [first] = choices
  if (first === undefined) throw new MailmuxError('TLS_UNUSABLE', 'no certificate is given')
  return {
    defaultContext: first.context,
    size: choices.length,
    contextFor: (serverName) =>
      (choices.find(({ leaf }) => leaf.checkHost(serverName) !== undefined) ?? first).context,
  }
}

function serverContext({ cert, key }: CertificatePair, minVersion: SecureVersion): SecureContext {
  try {
    // An empty key would be taken, and every handshake would fail.
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      throw new Error('they do not belong together')
    }
    return createSecureContext({
      cert,
      key,
      minVersion,
      ciphers,
      ecdhCurve,
      honorCipherOrder: true,
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    })
  } catch (error) {
    throw new MailmuxError('TLS_UNUSABLE', `certificate and key: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function leafOf(cert: string): X509Certificate {
  try {
    return new X509Certificate(cert)
  } catch (error) {
    throw new MailmuxError('TLS_UNUSABLE', `certificate: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Trust towards a back-end: the authorities in `ca` (PEM text), the system's where undefined.
 * Throws TLS_UNUSABLE.
 */
export function createBackendTls(ca: string | undefined): SecureContext {
  try {
    // A text without any certificate would be taken, and then nothing trusted or everything refused.
    if (ca !== undefined) leafOf(ca)
    const authorities = ca ?? systemAuthorities()
    return createSecureContext({ ca: authorities, minVersion: 'TLSv1.2', ciphers, ecdhCurve })
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    throw new MailmuxError('TLS_UNUSABLE', `authorities: ${messageOf(error)}`, { cause: error })
  }
}

function systemAuthorities(): string[] {
  const own = getCACertificates('system')
  return own.length > 0 ? own : getCACertificates('bundled')
}

/**
 * Takes a client's handshake over an accepted socket, which must have nothing unsent. Answers once:
 * with the socket to go on with, or with undefined when the handshake failed or took longer than
 * ten seconds; then everything is destroyed already.
 */
export function acceptTls(
  raw: Socket,
  serverTls: ServerTls,
  done: (socket: TLSSocket | undefined) => void,
): void {
  const socket = new TLSSocket(raw, {
    isServer: true,
    secureContext: serverTls.defaultContext,
    ...(serverTls.size > 1 ? { SNICallback: chooser(serverTls) } : {}),
  })
  const finish = (result: TLSSocket | undefined): void => {
    clearTimeout(timer)
    socket.off('secure', onSecure).off('close', onClose)
    if (result === undefined) socket.destroy()
    done(result)
  }
  const onSecure = (): void => finish(socket)
  const onClose = (): void => finish(undefined)
  const timer = setTimeout(onClose, waits.tlsHandshakeMs)
  socket.on('secure', onSecure).on('close', onClose).on('error', destroyThis)
  // Without a tls.Server, Node reports a failure after the handshake by this event alone.
  socket.on('_tlsError', destroyThis)
}

function destroyThis(this: TLSSocket): void {
  this.destroy()
}

type Choose = (serverName: string, answer: (error: null, context: SecureContext) => void) => void

function chooser(serverTls: ServerTls): Choose {
  return (serverName, answer) => answer(null, serverTls.contextFor(serverName))
}
