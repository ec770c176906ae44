/**
 * How somebody's mailbox is got into: as an administrator who acts for its user, or with a password
 * or token of its user.
 */
import type { BackendConfig, Config, Endpoint } from '../config/config.ts'
import { MailmuxError } from '../base/error.ts'
import { type Trust, trustIn } from '../net/dial.ts'
import { type CertificatePair, createBackendTls } from '../net/tls.ts'
import type { Credentials, LoginProof } from '../protocol/login.ts'
import { octetsOf } from '../protocol/sasl.ts'
import type { Share } from './allowance.ts'

/** By which a mailbox can be got into. */
export type MailboxProtocol = 'imap' | 'pop3' | 'sieve'

/** One mailbox at one server. */
export interface MailboxAccess {
  /** The server's short name, for people. */
  readonly server: string
  /** The name of the mailbox there. */
  readonly login: string
  readonly proof: LoginProof
  readonly endpoints: BackendConfig['endpoints']
  readonly trust: Trust | undefined
  readonly clientAddress: BackendConfig['clientAddress']
  readonly connectTimeoutMs: number
  readonly loginTimeoutMs: number
  /** What may be taken of the server; as much as it gives without one. */
  readonly share?: Share
}

/** Texts that were read from the files that the config names. */
export interface BackendSecrets {
  readonly password: string
  /** PEM text of the authorities that may vouch for it; the system's where absent. */
  readonly authorities: string | undefined
  /** What it is shown of ourselves. */
  readonly client?: CertificatePair | undefined
}

/** A server, and what opens the mailboxes there. */
export interface MailboxDoor {
  /** `login`: the name of the mailbox there. */
  accessTo(login: string): MailboxAccess
}

/** A back-end and what its administrator logs in with. */
export class AdminDoor implements MailboxDoor {
  readonly backend: BackendConfig
  readonly #limits: Config['limits']
  readonly #password: string
  readonly #trust: Trust | undefined

  /** Throws ADMIN_MISSING where the config names no administrator, and TLS_UNUSABLE. */
  constructor(backend: BackendConfig, limits: Config['limits'], secrets: BackendSecrets) {
    this.backend = backend
    this.#limits = limits
    this.#password = secrets.password
    const needsTls = Object.values(backend.endpoints).some(({ tls }) => tls !== 'none')
    this.#trust = needsTls
      ? trustIn(backend, createBackendTls(secrets.authorities, secrets.client))
      : undefined
  }

  accessTo(login: string): MailboxAccess {
    const { name, endpoints, clientAddress } = this.backend
    const { connectTimeoutMs, loginTimeoutMs } = this.#limits
    return {
      server: name,
      login,
      proof: adminProof(this.backend, this.#password, login),
      endpoints,
      trust: this.#trust,
      clientAddress,
      connectTimeoutMs,
      loginTimeoutMs,
    }
  }
}

/** How the administrator of a back-end logs in for a user. Throws ADMIN_MISSING. */
export function adminProof(backend: BackendConfig, secret: string, login: string): Credentials {
  const { user, style, separator } = adminOf(backend)
  const password = octetsOf(secret)
  return style === 'authzid'
    ? { login: user, password, actsFor: login }
    : { login: `${login}${separator}${user}`, password }
}

/** Throws ADMIN_MISSING. */
export function adminOf({ name, admin }: BackendConfig): NonNullable<BackendConfig['admin']> {
  if (admin !== undefined) return admin
  throw new MailmuxError('ADMIN_MISSING', `back-end ${name} has no administrative login`)
}

/** Throws BACKEND_PORT_MISSING. */
export function endpointOf(
  { endpoints, server }: MailboxAccess,
  protocol: MailboxProtocol,
): Endpoint {
  const endpoint = endpoints[protocol]
  if (endpoint !== undefined) return endpoint
  throw new MailmuxError('BACKEND_PORT_MISSING', `back-end ${server} has no ${protocol} port`)
}
