/**
 * A worker whose front ends are a toy protocol: what tests of the daemon need of a session.
 * `generation` tells the number of the map in force, `throw` is a fault of ours, `quit` ends.
 */
import cluster from 'node:cluster'
import type { Connection } from '../../src/net/connection.ts'
import { Readable } from 'node:stream'
import type { ListenerConfig } from '../../src/config/config.ts'
import type { Freeze } from '../../src/daemon/freezes.ts'
import type { Runtime, Session, StartSession } from '../../src/daemon/runtime.ts'
import { runWorker } from '../../src/daemon/worker.ts'

class EchoSession implements Session {
  readonly id: string
  readonly service: Session['service']
  readonly peer: string
  readonly startedAt = performance.now()
  readonly user = 'ann@example.com'
  readonly backend = 'fritz'
  readonly login = 'ann'
  readonly state = 'joined'
  bytesIn = 0
  bytesOut = 0
  readonly #socket: Connection
  readonly #runtime: Runtime
  #stays = false
  #end: 'logout' | 'client_closed' | 'shutdown' = 'client_closed'

  constructor(socket: Connection, listener: ListenerConfig, runtime: Runtime) {
    this.id = runtime.nextSessionId()
    this.service = listener.service
    this.peer = `${socket.remoteAddress}:${socket.remotePort}`
    this.#socket = socket
    this.#runtime = runtime
    const leave = runtime.enter(this)
    socket.on('close', () => {
      leave()
      this.#report()
    })
    socket.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length
      this.#obey(chunk.toString().trim())
    })
    socket.resume()
    this.#say(`${this.service} ${listener.tls} ${process.pid}\r\n`)
  }

  concerns(freeze: Freeze): boolean {
    return !this.#socket.destroyed && freeze.user === this.user
  }

  yieldTo(_freeze: Freeze, isLast: boolean): void {
    if (isLast) this.kill()
    else this.shutdown()
  }

  shutdown(): void {
    this.#end = 'shutdown'
    this.#say('bye\r\n')
    // `stay` is a session that does not come to a boundary.
    if (!this.#stays) this.#socket.end()
  }

  kill(): void {
    this.#end = 'shutdown'
    this.#socket.destroy()
  }

  #obey(word: string): void {
    const { log, counters, current } = this.#runtime
    switch (word) {
      case 'generation':
        this.#say(`${current.map.generation} ${current.config.hostname}\r\n`)
        break
      case 'throw':
        throw new Error('a fault of ours')
      case 'throw later':
        setImmediate(() => {
          throw new Error('a fault of ours')
        })
        break
      case 'reject':
        void Promise.reject(new Error('a fault of ours'))
        break
      case 'throw in a stream':
        Readable.from(['x']).on('data', () => {
          throw new Error('a fault of ours')
        })
        break
      case 'stay':
        this.#stays = true
        this.#say('staying\r\n')
        break
      case 'refuse': {
        const peer = { service: this.service, session: this.id, peer: this.peer }
        for (let n = 0; n < 25; n++) log('refuse', { ...peer, reason: 'bad_commands' })
        counters.count('login', `${this.service},ok`)
        this.#say('refused\r\n')
        break
      }
      case 'quit':
        this.#end = 'logout'
        this.#say('bye\r\n')
        this.#socket.end()
        break
      default:
        this.#say(`${word}\r\n`)
    }
  }

  #say(text: string): void {
    this.bytesOut += text.length
    this.#socket.write(text)
  }

  #report(): void {
    const peer = { service: this.service, session: this.id, peer: this.peer }
    this.#runtime.log('session.end', {
      ...peer,
      end: this.#end,
      tls: '',
      duration_ms: Math.round(performance.now() - this.startedAt),
      bytes_in: this.bytesIn,
      bytes_out: this.bytesOut,
      user: this.user,
      backend: this.backend,
      generation: this.#runtime.current.map.generation,
    })
  }
}

const start: StartSession = (socket, listener, runtime) => {
  void new EchoSession(socket, listener, runtime)
}

const number = cluster.worker?.id ?? 0
const load = (): Promise<StartSession> => Promise.resolve(start)
// One worker that cannot do what the others can: for refusals that its supervisor cannot foresee.
const loadSmtp = (): Promise<StartSession> =>
  process.env['ECHO_WITHOUT_SMTP'] === String(number)
    ? Promise.reject(new Error('this worker has no SMTP'))
    : load()
const others = { lmtp: load, imap: load, pop3: load, sieve: load, submission: load }
runWorker(number, { smtp: loadSmtp, ...others })
