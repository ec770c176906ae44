/**
 * Whom a client's certificate may log in (SASL EXTERNAL): the users of the names in it, by the same
 * canonical form as a name that is typed. What is of no use is told to the log.
 */
import { printable } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { parseLogin } from '../mail/login-name.ts'
import type { ShownCertificate } from '../net/client-certificate.ts'
import { type FrontEndAction, type LoginProof, proofOf } from '../protocol/login.ts'
import type { PeerFields } from './login/login-protocol.ts'
import type { Runtime } from './runtime.ts'

/** What has been proven by a certificate, put to the use that its client asks for. */
export interface CertifiedLogin {
  /** The name in the certificate; where the client asks for somebody else, that name. */
  readonly login: string
  /** The certificate names that user. */
  readonly isOwn: boolean
}

/** What a client logs in with. */
export type ClientProof = LoginProof | CertifiedLogin

/** Whose certificate it is, and where what is wrong with it is told. */
export interface Witness {
  readonly runtime: Runtime
  readonly fields: PeerFields
}

export function isCertified(proof: ClientProof): proof is CertifiedLogin {
  return 'isOwn' in proof
}

/** Names in the certificate by the canonical user that each means; none of users that nobody can be. */
function usersOf(
  { names, field }: ShownCertificate,
  { naming }: Config,
): ReadonlyMap<string, string> {
  const users = new Map<string, string>()
  for (const name of names) {
    // A common name may be a bare one, as people type it; the other fields hold addresses.
    const isBare = !name.includes('@') && field !== 'commonName'
    const address = isBare ? undefined : parseLogin(name, naming)
    if (address !== undefined && naming.domains.has(address.domain)) users.set(address.key, name)
  }
  return users
}

/** Whether there is anybody whom it can log in. */
export function isUseful(shown: ShownCertificate | undefined, config: Config): boolean {
  return shown !== undefined && usersOf(shown, config).size > 0
}

/** Tells the log of a certificate that logs nobody in. */
export function reportCertificate(
  shown: ShownCertificate | undefined,
  { runtime, fields }: Witness,
): void {
  if (shown === undefined || isUseful(shown, runtime.current.config)) return
  const { fault, names } = shown
  const reason = fault === undefined ? 'no_user' : 'unverified'
  const detail = fault ?? written(names)
  runtime.log('client.certificate', { ...fields, reason, detail })
}

type LogIn = Extract<FrontEndAction, { readonly do: 'log-in' | 'exchange' | 'claim' }>

/** What a client that has shown this logs in with. */
export function proofFrom(
  action: LogIn,
  shown: ShownCertificate | undefined,
  witness: Witness,
): ClientProof {
  return action.do === 'claim' ? certify(shown, action.login, witness) : proofOf(action)
}

/** The client claims to be who its certificate names; `asked`: as which of them, '' where it says not. */
function certify(
  shown: ShownCertificate | undefined,
  asked: string,
  { runtime, fields }: Witness,
): CertifiedLogin {
  const { config } = runtime.current
  const users = shown === undefined ? new Map<string, string>() : usersOf(shown, config)
  const [only] = users.values()
  const user = asked === '' ? undefined : parseLogin(asked, config.naming)?.key
  const own = asked === '' && users.size === 1 ? only : users.get(user ?? '')
  if (own !== undefined) return { login: own, isOwn: true }
  const reason = asked === '' ? 'ambiguous' : 'other_user'
  const detail = asked === '' ? written([...users.values()]) : printable(asked)
  runtime.log('client.certificate', { ...fields, reason, detail })
  return { login: asked, isOwn: false }
}

function written(names: readonly string[]): string {
  return printable(names.join(', '))
}
