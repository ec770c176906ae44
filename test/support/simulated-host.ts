/** A simulated back-end on a port of this host: connections, and what is done to them. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { type Answer, ImapSession, type Traits, type Watcher } from './simulated-imap.ts'
import { type Command, CommandReader, type Input } from './simulated-imap-input.ts'
import type { Mailbox } from './simulated-mailbox.ts'
import type { Turns, Waiting } from './simulated-turns.ts'

/** What becomes of a command. */
export type Fate =
  | 'served'
  /** The connection ends before it is performed, or after, without an answer. */
  | 'cut before'
  | 'cut after'
  /** It is refused with these words. */
  | { readonly no: string }

export interface Judge {
  /** Before each command. */
  judge(host: SimulatedHost, command: Command): Fate | Promise<Fate>
  /** What a connection is told instead of a greeting; undefined: it may come in; '': nothing. */
  refusal(host: SimulatedHost): string | undefined
}

export type HostName = 'fritz' | 'ingrid'

interface Place {
  readonly mailbox: Mailbox
  readonly traits: Traits
  readonly watcher: Watcher
  readonly judge: Judge
}

export class SimulatedHost implements AsyncDisposable {
  readonly name: HostName
  readonly #server: Server
  readonly #turns: Turns
  readonly #connections = new Set<Connection>()
  #place: Place | undefined

  private constructor(name: HostName, turns: Turns) {
    this.name = name
    this.#turns = turns
    this.#server = createServer((socket) => this.#take(socket))
  }

  static async start(name: HostName, turns: Turns): Promise<SimulatedHost> {
    const host = new SimulatedHost(name, turns)
    host.#server.listen(0, '127.0.0.1')
    await once(host.#server, 'listening')
    return host
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** From now on it is another world's. */
  begin(place: Place): void {
    this.#place = place
  }

  get connections(): readonly Connection[] {
    return [...this.#connections]
  }

  /** Of all; `isHeard`: what has come is performed still. */
  cut(isHeard: () => boolean): void {
    for (const connection of this.#connections) connection.cut(isHeard())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.cut(false)
    this.#server.close()
    await once(this.#server, 'close')
  }

  #take(socket: Socket): void {
    const place = this.#place
    this.#turns.come()
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    const refusal = place === undefined ? '' : place.judge.refusal(this)
    if (place === undefined || refusal !== undefined) {
      if (refusal === undefined || refusal === '') socket.destroy()
      else socket.end(refusal)
      return
    }
    const { mailbox, traits, watcher } = place
    const session = new ImapSession(mailbox, traits, watcher)
    const connection = new Connection(socket, session, {
      id: this.#turns.nextId,
      judge: async (command) => await place.judge.judge(this, command),
      come: () => this.#turns.come(),
      ended: () => {
        this.#connections.delete(connection)
        this.#turns.waiting.delete(connection)
      },
    })
    this.#connections.add(connection)
    this.#turns.waiting.add(connection)
  }
}

interface Around {
  readonly id: number
  judge(command: Command): Promise<Fate>
  come(): void
  ended(): void
}

export class Connection implements Waiting {
  readonly id: number
  readonly #socket: Socket
  readonly #session: ImapSession
  readonly #around: Around
  readonly #reader = new CommandReader()
  readonly #inputs: Input[] = []
  #authenticating: string | undefined

  constructor(socket: Socket, session: ImapSession, around: Around) {
    this.id = around.id
    this.#socket = socket
    this.#session = session
    this.#around = around
    socket.write(session.greeting)
    socket.on('close', () => around.ended())
    socket.on('data', (bytes: Buffer) => {
      around.come()
      this.#reader.push(bytes)
      this.#read()
    })
  }

  get isReady(): boolean {
    return this.#inputs.length > 0
  }

  async serve(): Promise<void> {
    const input = this.#inputs.shift()
    if (input === undefined) return
    if (input.kind === 'command') await this.#serveCommand(input.command)
    else if (input.kind === 'asking') {
      this.#reader.goOn()
      this.#socket.write('+ go on\r\n')
    } else await this.#serveCommand(this.#authentication(input.text))
    this.#read()
  }

  /** `isHeard`: what has come is performed, and nobody is told. */
  cut(isHeard: boolean): void {
    for (const input of this.#inputs.splice(0)) {
      if (isHeard && input.kind === 'command') this.#session.handle(input.command)
    }
    this.#around.ended()
    this.#socket.destroy()
  }

  #read(): void {
    for (let input = this.#reader.next(); input !== undefined; input = this.#reader.next()) {
      this.#inputs.push(input)
    }
  }

  #authentication(text: string): Command {
    return { tag: this.#authenticating ?? '', name: 'AUTHENTICATE', words: ['PLAIN', text] }
  }

  async #serveCommand(command: Command): Promise<void> {
    if (command.name === 'AUTHENTICATE' && command.words.length === 1) {
      this.#authenticating = command.tag
      this.#reader.isAnswer = true
      this.#socket.write('+ \r\n')
      return
    }
    const fate = await this.#around.judge(command)
    if (this.#socket.destroyed) return
    if (fate === 'served') this.#send(this.#session.handle(command))
    else if (fate === 'cut before') this.cut(false)
    else if (fate === 'cut after') {
      this.#session.handle(command)
      this.cut(false)
    } else this.#send({ parts: [`${command.tag} NO ${fate.no}\r\n`] })
  }

  #send({ parts, isLast = false }: Answer): void {
    const bytes = parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from(part, 'latin1')))
    const whole = Buffer.concat(bytes)
    if (isLast) this.#socket.end(whole)
    else this.#socket.write(whole)
  }
}
