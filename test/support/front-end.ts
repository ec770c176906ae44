/** A front end on a port of its own, over a test runtime, with two back-ends in its config. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { LoginService, TlsMode } from '../../src/config/config.ts'
import type { AdminLogins } from '../../src/daemon/admin-logins.ts'
import type { StartSession } from '../../src/daemon/runtime.ts'
import { startImapSession } from '../../src/daemon/front-end/imap.ts'
import { startPop3Session } from '../../src/daemon/front-end/pop3.ts'
import { startSieveSession } from '../../src/daemon/front-end/sieve.ts'
import { startSubmissionSession } from '../../src/daemon/front-end/submission.ts'
import { loginOffersOf, loginPlans } from '../../src/daemon/login/login-offers.ts'
import type { LoginVerifier } from '../../src/daemon/login/login-verifier.ts'
import type { Resolution } from '../../src/mail/route.ts'
import type { ServerTls } from '../../src/net/tls.ts'
import { Peer } from './peer.ts'
import { routeTo, TestRuntime } from './test-runtime.ts'

const starts = {
  imap: startImapSession,
  pop3: startPop3Session,
  sieve: startSieveSession,
  submission: startSubmissionSession,
} as const

export interface FrontEndOptions {
  readonly service: LoginService
  /** In the place of how sessions of the service begin. */
  readonly start?: StartSession
  /** Port of fritz, where ann@example.com is; 1, where nobody listens, if left out. */
  readonly backendPort?: number
  readonly backendTls?: TlsMode
  /** Port of ingrid, a second back-end without TLS; there is none if left out. */
  readonly secondPort?: number
  /** What ingrid speaks, where it is not the service. */
  readonly secondService?: LoginService
  readonly backendName?: string
  /** More lines of fritz in the config. */
  readonly backendLines?: readonly string[]
  readonly trust?: SecureContext
  readonly tls?: TlsMode
  readonly serverTls?: ServerTls
  readonly cleartext?: boolean
  /** What fritz is known to offer by SASL; nothing is known of it if left out. */
  readonly mechanisms?: readonly string[]
  /** Lines of the config's `limits`. */
  readonly limits?: Readonly<Record<string, string>>
  readonly routes?: Readonly<Record<string, Resolution>>
  /** Judges logins, as in mode `verify`. */
  readonly verifier?: LoginVerifier
  /** Log in at back-ends for clients that `serverTls` takes certificates of. */
  readonly certified?: AdminLogins
  /** The listener asks for certificates; it does if left out. */
  readonly asksCertificate?: boolean
  /** More lines of the config. */
  readonly config?: readonly string[]
}

export class FrontEnd implements AsyncDisposable {
  readonly runtime: TestRuntime
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(runtime: TestRuntime, server: Server) {
    this.runtime = runtime
    this.#server = server
  }

  static async start(options: FrontEndOptions): Promise<FrontEnd> {
    const { service, serverTls, trust } = options
    const runtime = new TestRuntime({
      config: configText(options),
      routes: { 'ann@example.com': routeTo('fritz', 'ann@example.com', 'ann'), ...options.routes },
      ...(serverTls === undefined ? {} : { serverTls }),
      verifier: options.verifier,
      certified: options.certified,
      backendTls: new Map(trust === undefined ? [] : [['fritz', trust]]),
    })
    if (options.mechanisms !== undefined) {
      const offers = loginOffersOf(runtime, service)
      const capabilities = service === 'sieve' ? ['SIEVE fileinto'] : []
      const offer = { mechanisms: new Set(options.mechanisms), capabilities }
      for (const plan of loginPlans(service, runtime.current)) offers.learn(plan, offer)
    }
    const listener = {
      service,
      host: '127.0.0.1',
      port: 0,
      tls: options.tls ?? 'none',
      greetingDelayMs: 0,
      bareNewline: 'reject',
      authAllowCleartext: options.cleartext ?? true,
      asksCertificate: options.asksCertificate ?? true,
      hasProxyHeader: false,
    } as const
    const { start = starts[options.service] } = options
    const server = createServer({ noDelay: true })
    const front = new FrontEnd(runtime, server)
    server.on('connection', (socket) => {
      front.#sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => front.#sockets.delete(socket))
      start(socket, listener, runtime)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return front
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  connect(): Promise<Peer> {
    return Peer.connect(this.port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.runtime.sessions) session.kill()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
    await this.runtime.idle()
  }
}

function configText(options: FrontEndOptions): string {
  const { service, backendPort = 1, backendTls = 'none', backendName, secondPort } = options
  const { secondService = service } = options
  const limits = { auth_failure_delay: '20ms', ...options.limits }
  return [
    'hostname: mx1.example.com',
    'domains: [example.com]',
    'backends:',
    '  fritz:',
    '    host: 127.0.0.1',
    `    ${service}: ${backendPort}`,
    `    tls: ${backendTls}`,
    ...(backendName === undefined ? [] : [`    tls_name: ${backendName}`]),
    ...(options.backendLines ?? []).map((line) => `    ${line}`),
    ...(secondPort === undefined
      ? []
      : [`  ingrid: {host: 127.0.0.1, ${secondService}: ${secondPort}}`]),
    'limits:',
    ...Object.entries(limits).map(([key, value]) => `  ${key}: ${value}`),
    ...(options.config ?? []),
    '',
  ].join('\n')
}
