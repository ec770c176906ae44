/** The certificate that the other side of a connection has shown. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

export interface PeerCertificate {
  readonly subject: string
  readonly issuer: string
  /** ISO 8601. */
  readonly expires: string
  readonly protocol: string
}

/** Undefined where the connection has no TLS. */
export function certificateOf(socket: Socket): PeerCertificate | undefined {
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

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}
