/**
 * Asks the back-end of a user, by a login that ends at once, whether it takes a password: for users
 * who send by the smarthost, where nobody knows it.
 */
import type { LoginClient, LoginWaiter } from '../backend/login-client.ts'
import type { BackEndOutcome, Credentials } from '../protocol/login.ts'
import { createImapBackEnd } from '../protocol/imap/back-end.ts'
import { createPop3BackEnd } from '../protocol/pop3/back-end.ts'
import type { ClientAttributes } from '../protocol/smtp/client-attributes.ts'
import { dialLogin, type LoginPort } from './dial-login.ts'
import type { PeerFields } from './login/login-protocol.ts'
import type { Generation, Runtime } from './runtime.ts'

/** What takes passwords at most back-ends, the first first. */
export const askedServices = ['imap', 'pop3'] as const

export interface AskedPort extends LoginPort {
  readonly service: (typeof askedServices)[number]
}

const protocols = {
  imap: { service: 'imap', createBackEnd: createImapBackEnd, leave: 'Z LOGOUT\r\n' },
  pop3: { service: 'pop3', createBackEnd: createPop3BackEnd, leave: 'QUIT\r\n' },
} as const

/** The label of the counter `backend_login`. */
const results = {
  accepted: 'ok',
  refused: 'failed',
  denied: 'failed',
  failed: 'unavailable',
} as const satisfies Record<BackEndOutcome['kind'], string>

export interface AskOptions {
  readonly runtime: Runtime
  readonly generation: Generation
  readonly fields: PeerFields
  readonly client: ClientAttributes
}

export class OwnBackend implements LoginWaiter {
  readonly #options: AskOptions
  readonly #port: AskedPort
  readonly #client: LoginClient
  readonly #answer = Promise.withResolvers<boolean | undefined>()

  constructor(options: AskOptions, port: AskedPort, credentials: Credentials) {
    const { service, login } = port
    this.#options = options
    this.#port = port
    const proof = { login, password: credentials.password }
    const call = { protocol: protocols[service], port, proof, client: options.client }
    this.#client = dialLogin(options, call, this)
  }

  /** Whether it took the login; undefined where that can't be told now. Never rejects. */
  get answer(): Promise<boolean | undefined> {
    return this.#answer.promise
  }

  /** Its answer stays out. */
  abort(): void {
    this.#client.abort()
  }

  backendAnswered(outcome: BackEndOutcome): void {
    const { runtime, fields } = this.#options
    const { backend, service } = this.#port
    runtime.counters.count('backend_login', `${backend},${service},${results[outcome.kind]}`)
    switch (outcome.kind) {
      case 'accepted':
        this.#leave()
        this.#answer.resolve(true)
        break
      case 'refused':
        this.#answer.resolve(false)
        break
      // Full, locked, too many at once: SMTP has no words for what a mailbox says of itself.
      case 'denied':
        this.#answer.resolve(undefined)
        break
      case 'failed': {
        const { step, reason, detail } = outcome
        runtime.log('backend', { ...fields, backend, step, reason, detail })
        this.#answer.resolve(undefined)
        break
      }
    }
  }

  backendChallenged(): void {
    throw new Error('a password leaves nothing to ask')
  }

  #leave(): void {
    const { joinable } = this.#client
    joinable.on('error', () => undefined)
    joinable.write(protocols[this.#port.service].leave)
    joinable.destroySoon()
  }
}
