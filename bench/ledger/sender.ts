/**
 * Senders as mail servers are: each keeps a connection, hears a reply for each recipient and each
 * message, and tries again later what was put off, or had no reply. What they were told is the ledger.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { domain, makeMessage, type Message, textOf } from './cast.ts'
import { randomOf } from '../../test/support/random.ts'

/** What one attempt at a message came to. */
export interface Attempt {
  /** `unheard`: the end of the message was sent, and no reply came. */
  readonly end: 'answered' | 'unheard'
  /** Recipients that were told 2xx for this message. */
  readonly taken: readonly string[]
  /** The worst reply to the message. */
  readonly code: number
  /** Monotonic, when it was heard or the connection was lost. */
  readonly at: number
}

export interface Task {
  readonly message: Message
  /** Those that nobody has answered 2xx for. */
  left: readonly string[]
  readonly attempts: Attempt[]
}

export interface SendersOptions {
  readonly count: number
  readonly seed: number
  readonly ports: { readonly smtp: number; readonly lmtp: number }
  readonly senders: number
  /** Share of messages whose sender does not wait for the reply. */
  readonly leavesShare?: number
}

const retryMs = 300
const patienceMs = 60_000

class Gone extends Error {}

export class Senders {
  readonly tasks: Task[] = []
  done = 0
  /** Connections that could not be made, or were not greeted. */
  unwelcome = 0
  /** Recipients that were refused for good: there should be none. */
  readonly refused: string[] = []
  readonly #options: SendersOptions
  readonly #ready: Task[] = []
  readonly #random: () => number
  #made = 0
  #isStopped = false

  constructor(options: SendersOptions) {
    this.#options = options
    this.#random = randomOf(options.seed)
  }

  get isDone(): boolean {
    return this.done === this.#options.count
  }

  /** Returns when every recipient of every message was answered 2xx, or `stop` was called. */
  async run(): Promise<void> {
    const { senders } = this.#options
    const work = Array.from({ length: senders }, (_, index) => this.#send(index % 4 === 3))
    await Promise.all(work)
  }

  stop(): void {
    this.#isStopped = true
  }

  async #send(isLmtp: boolean): Promise<void> {
    const { leavesShare = 0 } = this.#options
    let client: Client | undefined
    while (!this.#isStopped && !this.isDone) {
      const task = this.#next()
      if (task === undefined) {
        await delay(20)
        continue
      }
      try {
        client ??= await Client.open(this.#options.ports[isLmtp ? 'lmtp' : 'smtp'], isLmtp)
        await client.send(task, this.#random() < leavesShare, this.refused)
      } catch (error) {
        if (!(error instanceof Gone)) throw error
        if (client === undefined) this.unwelcome++
        client?.close()
        client = undefined
      }
      if (task.left.length === 0) this.done++
      else void this.#later(task)
    }
    client?.close()
  }

  async #later(task: Task): Promise<void> {
    await delay(retryMs * (1 + Math.random()))
    this.#ready.push(task)
  }

  #next(): Task | undefined {
    const again = this.#ready.shift()
    if (again !== undefined || this.#made === this.#options.count) return again
    const message = makeMessage(this.#made++, this.#random)
    const task: Task = { message, left: message.recipients, attempts: [] }
    this.tasks.push(task)
    return task
  }
}

class Client {
  readonly #socket: Socket
  readonly #isLmtp: boolean
  #text = ''
  #isGone = false
  #wake: () => void = () => undefined

  private constructor(socket: Socket, isLmtp: boolean) {
    this.#socket = socket
    this.#isLmtp = isLmtp
    socket.setNoDelay(true).setEncoding('latin1')
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#isGone = true
      this.#wake()
    })
    socket.on('data', (chunk: string) => {
      this.#text += chunk
      this.#wake()
    })
  }

  static async open(port: number, isLmtp: boolean): Promise<Client> {
    const socket = connect(port, '127.0.0.1')
    const client = new Client(socket, isLmtp)
    try {
      await once(socket, 'connect')
    } catch (error) {
      await delay(100)
      throw new Gone('no connection', { cause: error })
    }
    if ((await client.#reply()) !== 220) throw new Gone('not greeted')
    client.#say(isLmtp ? 'LHLO sender.example.net' : 'EHLO sender.example.net')
    if ((await client.#reply()) !== 250) throw new Gone('not welcome')
    return client
  }

  close(): void {
    this.#socket.destroy()
  }

  /** One attempt. Throws Gone where the connection is of no more use. */
  async send(task: Task, isLeaving: boolean, refused: string[]): Promise<void> {
    const { message, attempts } = task
    const asked = task.left
    const rcpt = asked.map((local) => `RCPT TO:<${local}@${domain}>\r\n`).join('')
    this.#socket.write(`MAIL FROM:<${message.sender}>\r\n${rcpt}DATA\r\n`)
    if ((await this.#reply()) !== 250) throw new Gone('MAIL was not taken')
    const accepted: string[] = []
    for (const local of asked) {
      const code = await this.#reply()
      if (code === 250) accepted.push(local)
      else if (code >= 500) refused.push(`${message.number} ${local} ${code}`)
    }
    if ((await this.#reply()) !== 354) {
      this.#say('RSET')
      if ((await this.#reply()) !== 250) throw new Gone('RSET was not taken')
      return
    }
    this.#socket.write(textOf(message, attempts.length), 'latin1')
    const codes: number[] = []
    try {
      if (isLeaving) throw new Gone('does not wait')
      const count = this.#isLmtp ? accepted.length : 1
      while (codes.length < count) codes.push(await this.#reply())
    } catch (error) {
      attempts.push({ end: 'unheard', taken: [], code: 0, at: performance.now() })
      throw error
    }
    const taken = accepted.filter((_, at) => codes[this.#isLmtp ? at : 0] === 250)
    const code = Math.max(...codes)
    if (code >= 500) refused.push(`${message.number} ${accepted.join(',')} ${code}`)
    attempts.push({ end: 'answered', taken, code, at: performance.now() })
    task.left = task.left.filter((local) => !taken.includes(local))
  }

  #say(line: string): void {
    this.#socket.write(`${line}\r\n`)
  }

  /** The code of the next reply. */
  async #reply(): Promise<number> {
    const due = performance.now() + patienceMs
    for (;;) {
      const found = /^(?:\d{3}-.*\r\n)*(\d{3})(?: .*)?\r\n/.exec(this.#text)
      if (found !== null) {
        this.#text = this.#text.slice(found[0].length)
        return Number(found[1])
      }
      if (this.#isGone || performance.now() > due) throw new Gone('no reply')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patienceMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}
