/** The certificate that the other side of a connection has shown. */
import { createHash } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import type { Connection } from './connection.ts'

export interface PeerCertificate {
  readonly subject: string
  readonly issuer: string
  /** ISO 8601. */
  readonly expires: string
  readonly protocol: string
}

/** Undefined where the connection has no TLS. */
export function certificateOf(socket: Connection): PeerCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    expires: certificate.validToDate.toISOString(),
    protocol: socket.getProtocol() ?? '',
  }
}

/** The digest of its key (SPKI), as `sha256//BASE64`; '' where there is none. */
export function pinOf(socket: Connection): string {
  if (!(socket instanceof TLSSocket)) return ''
  const spki = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' })
  return spki === undefined ? '' : `sha256//${createHash('sha256').update(spki).digest('base64')}`
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}
