/** What front end and back-end need to speak TLS with each other and with clients. */
import type { SecureContext } from 'node:tls'
import { createBackendTls, createServerTls, type ServerTls } from '../../src/net/tls.ts'
import { type Authority, type IssuedCertificate, makeAuthority } from './certificates.ts'

export interface TlsParties {
  readonly authority: Authority
  /** For mx1.example.com, the front end, and fritz.example.com. */
  readonly certificate: IssuedCertificate
  readonly serverTls: ServerTls
  /** Of the front end in its back-ends. */
  readonly trust: SecureContext
}

export function tlsParties(): TlsParties {
  const authority = makeAuthority()
  const certificate = authority.issue(['mx1.example.com', 'fritz.example.com'])
  return {
    authority,
    certificate,
    serverTls: createServerTls([certificate], 'TLSv1.2'),
    trust: createBackendTls(authority.ca),
  }
}
