/** A relay on a port of its own, with scripted back-ends behind it. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { SecureContext } from 'node:tls'
import { startLmtpSession } from '../../src/daemon/front-end/lmtp.ts'
import { startSmtpSession } from '../../src/daemon/front-end/smtp.ts'
import { relayOffersOf } from '../../src/daemon/relay/relay-offers.ts'
import { relayPoolOf } from '../../src/daemon/relay/relay-pool.ts'
import { messagePlans } from '../../src/daemon/relay/relay-route.ts'
import type { Resolution } from '../../src/mail/route.ts'
import type { ServerTls } from '../../src/net/tls.ts'
import type { SpoolWriter } from '../../src/spool/spooled-message.ts'
import { type Capabilities, parseCapabilities } from '../../src/protocol/smtp/capabilities.ts'
import { Peer, ScriptedBackend } from './peer.ts'
import { routeTo, TestRuntime } from './test-runtime.ts'

export interface RelayOptions {
  /** Back-ends by name: a port, or settings in YAML's flow style. */
  readonly backends: Readonly<Record<string, number | string>>
  readonly routes?: Readonly<Record<string, Resolution>>
  /** Further lines of the config. */
  readonly config?: string
  /** Settings of the listener in YAML's flow style. */
  readonly listener?: string
  readonly protocol?: 'smtp' | 'lmtp'
  /** What back-ends are known to offer at the start, as EHLO lists it; `unknown`: nothing is known. */
  readonly offered?: readonly string[] | 'unknown'
  readonly serverTls?: ServerTls
  readonly backendTls?: ReadonlyMap<string, SecureContext>
  /** None where it is not given. */
  readonly spool?: SpoolWriter
}

/** ann and amy are at fritz, ida at ingrid. */
export const users: Readonly<Record<string, Resolution>> = {
  'ann@example.com': routeTo('fritz', 'ann@example.com'),
  'amy@example.com': routeTo('fritz', 'amy@example.com'),
  'ida@example.com': routeTo('ingrid', 'ida@example.com'),
}

export class TestRelay implements AsyncDisposable {
  readonly runtime: TestRuntime
  readonly port: number
  readonly #close: () => Promise<void>

  private constructor(runtime: TestRuntime, port: number, close: () => Promise<void>) {
    this.runtime = runtime
    this.port = port
    this.#close = close
  }

  static async start(options: RelayOptions): Promise<TestRelay> {
    const { protocol = 'smtp', offered = ['PIPELINING', '8BITMIME', 'SIZE'] } = options
    const backends = Object.entries(options.backends).map(([name, value]) => {
      const settings = typeof value === 'number' ? `smtp: ${value}, tls: none` : value
      return `  ${name}: {host: 127.0.0.1, ${settings}}\n`
    })
    const runtime = new TestRuntime({
      config:
        `hostname: mx.example.com\ndomains: [example.com]\nbackends:\n${backends.join('')}` +
        `listen: {${protocol}: [{address: "127.0.0.1:25", ${options.listener ?? 'tls: none'}}]}\n` +
        (options.config?.includes('client_names') === true ? '' : 'client_names: none\n') +
        (options.serverTls === undefined
          ? ''
          : 'tls: {certificates: [{cert: cert.pem, key: key.pem}]}\n') +
        (options.config ?? ''),
      routes: options.routes ?? users,
      ...(options.serverTls === undefined ? {} : { serverTls: options.serverTls }),
      ...(options.backendTls === undefined ? {} : { backendTls: options.backendTls }),
    })
    runtime.spool = options.spool
    if (offered !== 'unknown') learn(runtime, parseCapabilities(['', ...offered]))
    const start = protocol === 'smtp' ? startSmtpSession : startLmtpSession
    const [listener] = runtime.current.config.listeners
    if (listener === undefined) throw new Error('no listener in the config')
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => undefined)
      start(socket, listener, runtime)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    return new TestRelay(runtime, port, async () => {
      for (const session of runtime.sessions) session.kill()
      server.close()
      await runtime.idle()
      relayPoolOf(runtime).close()
    })
  }

  /** All back-ends are believed to offer this from now on. */
  learn(offered: readonly string[]): void {
    learn(this.runtime, parseCapabilities(['', ...offered]))
  }

  connect(localAddress?: string): Promise<Peer> {
    return Peer.connect(this.port, '127.0.0.1', localAddress)
  }

  /** A client that has been greeted and has said EHLO; of another address of this host if given. */
  async client(localAddress?: string): Promise<Peer> {
    const client = await this.connect(localAddress)
    await client.expect(/^220 .*\r\n/)
    client.send('EHLO client.example.net\r\n')
    await client.expect(/^250 [^\r]*\r\n/m)
    return client
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close()
  }
}

function learn(runtime: TestRuntime, offered: Capabilities): void {
  for (const plan of messagePlans(runtime.current)) relayOffersOf(runtime).learn(plan, offered)
}

export interface Stored {
  sender: string
  recipients: string[]
  data: string
}

export interface SinkOptions {
  readonly capabilities?: readonly string[]
  readonly lmtp?: boolean
  /** The reply to a command, where it is not the usual one. */
  readonly answer?: (command: string) => string | undefined
  /** The reply to a message; without one it hangs up. */
  readonly verdict?: (stored: Stored) => string | undefined
  /** Told of the text of each message, before its verdict. */
  readonly taken?: (data: string) => void
}

/** A back-end that takes every message and keeps it. Speaks as its script says where there is one. */
export class Sink {
  readonly stored: Stored[] = []
  readonly commands: string[] = []
  readonly #options: SinkOptions

  constructor(options: SinkOptions = {}) {
    this.#options = options
  }

  static async start(options: SinkOptions = {}): Promise<{ sink: Sink; backend: ScriptedBackend }> {
    const sink = new Sink(options)
    return { sink, backend: await ScriptedBackend.start((peer) => sink.serve(peer)) }
  }

  async serve(peer: Peer, greeting = '220 fritz.internal ESMTP\r\n'): Promise<void> {
    peer.send(greeting)
    let message: Stored = { sender: '', recipients: [], data: '' }
    for (;;) {
      const command = await peer.line()
      this.commands.push(command)
      const own = this.#options.answer?.(command)
      const verb = command.slice(0, 4).toUpperCase()
      if (own !== undefined) {
        peer.send(own)
        if (!own.startsWith('354')) continue
      } else peer.send(this.#usual(verb))
      if (verb === 'MAIL') message = { sender: command, recipients: [], data: '' }
      if (verb === 'RCPT') message.recipients.push(command)
      if (verb === 'QUIT') return void peer.socket.end()
      if (verb !== 'DATA') continue
      const data = await peer.message()
      this.stored.push({ ...message, data })
      this.#options.taken?.(data)
      if (this.#options.verdict === undefined) {
        const count = this.#options.lmtp === true ? message.recipients.length : 1
        peer.send('250 2.0.0 stored\r\n'.repeat(count))
        continue
      }
      const verdict = this.#options.verdict(message)
      if (verdict === undefined) return void peer.socket.destroy()
      peer.send(verdict)
    }
  }

  #usual(verb: string): string {
    switch (verb) {
      case 'EHLO':
      case 'LHLO': {
        const offered = this.#options.capabilities ?? ['PIPELINING', '8BITMIME', 'SIZE 99999999']
        const lines = ['fritz.internal', ...offered]
        return lines
          .map((text, at) => `250${at < lines.length - 1 ? '-' : ' '}${text}\r\n`)
          .join('')
      }
      case 'DATA':
        return '354 go on\r\n'
      case 'QUIT':
        return '221 bye\r\n'
      default:
        return '250 2.1.0 ok\r\n'
    }
  }
}

/** Waits until all that a back-end was ever sent matches; takes nothing from who serves it. */
export async function seen(backend: ScriptedBackend, pattern: RegExp): Promise<void> {
  const signal = AbortSignal.timeout(10_000)
  while (!pattern.test(backend.received)) {
    const peer = backend.peers.at(-1)
    if (peer === undefined) await setImmediate(undefined, { signal })
    else await once(peer.socket, 'data', { signal })
  }
}
