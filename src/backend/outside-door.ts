/** Mailboxes at a server that is no back-end of ours, each with the password or token of its user. */
import type { Config, Endpoint } from '../config/config.ts'
import { createBackendTls } from '../net/tls.ts'
import type { LoginProof } from '../protocol/login.ts'
import { octetsOf } from '../protocol/sasl.ts'
import { encodeSaslName } from '../protocol/sasl/sasl-name.ts'
import type { MailboxAccess, MailboxDoor } from './mailbox-access.ts'

/** What a user logs in with there. */
export interface OutsideSecret {
  readonly kind: 'password' | 'token'
  readonly secret: string
}

export class OutsideDoor implements MailboxDoor {
  readonly #endpoint: Endpoint
  readonly #limits: Config['limits']
  readonly #secrets: ReadonlyMap<string, OutsideSecret>
  readonly #trust: MailboxAccess['trust']

  /** `secrets`: by login. Throws TLS_UNUSABLE. */
  constructor(
    endpoint: Endpoint,
    limits: Config['limits'],
    secrets: ReadonlyMap<string, OutsideSecret>,
  ) {
    this.#endpoint = endpoint
    this.#limits = limits
    this.#secrets = secrets
    this.#trust =
      endpoint.tls === 'none'
        ? undefined
        : { context: createBackendTls(undefined), name: endpoint.host }
  }

  accessTo(login: string): MailboxAccess {
    const secret = this.#secrets.get(login)
    if (secret === undefined) throw new Error(`no secret of ${login}`)
    const { connectTimeoutMs, loginTimeoutMs } = this.#limits
    return {
      server: this.#endpoint.host,
      login,
      proof: proofOf(login, secret),
      endpoints: { imap: this.#endpoint },
      trust: this.#trust,
      clientAddress: 'none',
      connectTimeoutMs,
      loginTimeoutMs,
    }
  }
}

function proofOf(login: string, { kind, secret }: OutsideSecret): LoginProof {
  const octets = octetsOf(secret)
  if (kind === 'password') return { login, password: octets }
  // RFC 7628 section 3.1.
  const first = `n,a=${encodeSaslName(octetsOf(login))},\u0001auth=Bearer ${octets}\u0001\u0001`
  return { mechanism: 'OAUTHBEARER', login, first }
}
