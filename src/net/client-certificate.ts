/**
 * The certificate that a client has shown in its handshake, or in that of the session which it resumes:
 * whether the authorities of the config vouch for it, and the names in it. RFC 5280, RFC 9598.
 */
import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import type { CertificateField } from '../config/config.ts'
import type { Connection } from './connection.ts'

export interface ShownCertificate {
  /** Why it proves nothing, in the words of OpenSSL; undefined where it is vouched for. */
  readonly fault: string | undefined
  readonly field: CertificateField
  /** As they stand in the field, which may be as anything; none of a certificate with a fault. */
  readonly names: readonly string[]
}

/** What TLSSocket keeps to itself at the side of a server; `authorized` is for tls.Server alone. */
interface Verifying {
  readonly _handle?: { verifyError?(): (Error & { readonly code?: string }) | null | undefined }
}

/**
 * Undefined where there is none. `socket` has asked for one; to be called as soon as its handshake is
 * over, at its event: this also takes the error of a forged signature out of OpenSSL's queue, which
 * Node would believe to be one of the connection.
 */
export function shownCertificate(
  socket: Connection,
  field: CertificateField,
): ShownCertificate | undefined {
  // Others are not asked for theirs.
  if (!(socket instanceof TLSSocket)) return undefined
  // A session without a certificate that is resumed has no error: there is nothing to verify.
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  const fault = faultOf(socket, certificate)
  return { fault, field, names: fault === undefined ? namesIn(certificate, field) : [] }
}

function faultOf(socket: TLSSocket, certificate: X509Certificate): string | undefined {
  const { _handle: handle } = socket as unknown as Verifying
  if (handle?.verifyError === undefined) return 'NOT_VERIFIED'
  const error = handle.verifyError()
  if (error !== null && error !== undefined) return error.code ?? error.message
  // What was found of it when the session began need not hold any more.
  return certificate.validToDate < new Date() ? 'CERT_HAS_EXPIRED' : undefined
}

function namesIn(certificate: X509Certificate, field: CertificateField): readonly string[] {
  if (field === 'rfc822Name') return alternativeNames(certificate.subjectAltName ?? '')
  const subject = certificate.toLegacyObject().subject as unknown as SubjectFields | undefined
  const found = subject?.[field === 'commonName' ? 'CN' : 'emailAddress'] ?? []
  return typeof found === 'string' ? [found] : found
}

type SubjectFields = Readonly<Record<string, string | readonly string[] | undefined>>

// Node writes a name that could be taken for more than one as a string of JSON.
const alternative =
  /(?:^|, )([A-Za-z0-9 ]+):("(?:[ !#-[\]-\u{10ffff}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|[^",]*)/uy
const internationalMailbox = /^SmtpUTF8Mailbox:(.*)$/s

/** Mailboxes of a subjectAltName as Node writes it; none of one that is not written like that. */
function alternativeNames(text: string): readonly string[] {
  const names: string[] = []
  alternative.lastIndex = 0
  for (let end = 0; end < text.length; end = alternative.lastIndex) {
    const [, kind = '', written] = alternative.exec(text) ?? []
    if (written === undefined) return []
    const value = written.startsWith('"') ? (JSON.parse(written) as string) : written
    if (kind === 'email') names.push(value)
    const [, mailbox] = kind === 'othername' ? (internationalMailbox.exec(value) ?? []) : []
    if (mailbox !== undefined) names.push(mailbox)
  }
  return names
}
