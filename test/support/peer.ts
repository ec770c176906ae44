/**
 * The two ends that tests put around a front end: a raw client that sends any bytes in any pieces,
 * and a back-end that follows a script step by step. Both are real sockets on the loopback address.
 */
import { once } from 'node:events'
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  createSecureContext,
  TLSSocket,
  connect as tlsConnect,
} from 'node:tls'

const patience = 10_000

/** One end of a connection, with a record of all that arrived. Bytes are handled as latin1 text. */
export class Peer implements Disposable {
  received = ''
  closed = false
  socket: Socket
  #cursor = 0
  /** Input that was not searched for the end of a message. */
  #fresh: string | undefined
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    this.adopt(socket)
  }

  /** Takes the part of a TLS client from here on. Rejects where the handshake fails. */
  async startTls(options: ConnectionOptions): Promise<TLSSocket> {
    this.socket.removeAllListeners('data')
    const socket = tlsConnect({ ...options, socket: this.socket })
    this.adopt(socket)
    await once(socket, 'secureConnect')
    return socket
  }

  /** Takes the part of a TLS server from here on. Rejects where the client gives up. */
  async acceptTls(certificate: { readonly cert: string; readonly key: string }): Promise<void> {
    this.socket.removeAllListeners('data')
    const secureContext = createSecureContext(certificate)
    const socket = new TLSSocket(this.socket, { isServer: true, secureContext })
    this.adopt(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('secure', resolve)
      socket.once('close', () => reject(new Error('closed during the TLS handshake')))
    })
  }

  /** Reads from another socket from now on: the TLS socket that was put over the first. */
  adopt(socket: Socket): void {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      this.received += text
      if (this.#fresh !== undefined) this.#fresh += text
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }

  static async connect(port: number, host = '127.0.0.1', localAddress?: string): Promise<Peer> {
    const socket = netConnect({
      port,
      host,
      ...(localAddress === undefined ? {} : { localAddress }),
    })
    await once(socket, 'connect')
    return new Peer(socket)
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  /** Sends the same again and again, `most` times at most; how often it was taken within 300 ms. */
  async pour(octets: Buffer, most: number): Promise<number> {
    let count = 0
    for (let isTaken = true; isTaken && count < most; count++) {
      isTaken = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), 300)
        this.socket.write(octets, () => {
          clearTimeout(timer)
          resolve(true)
        })
      })
    }
    return count
  }

  /** Waits until the unread input matches; returns the match and reads past it. */
  async expect(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => {
      const match = pattern.exec(this.received.slice(this.#cursor))
      if (match !== null) this.#cursor += match.index + match[0].length
      return match
    }, String(pattern))
  }

  /** The text of a message, without its end: that is looked for in new input only, for large ones. */
  async message(): Promise<string> {
    const end = '\r\n.\r\n'
    // The line end before the message may be part of its end.
    this.#fresh = `\r\n${this.unread}`
    const after = await this.#until(() => {
      const fresh = this.#fresh ?? ''
      const at = fresh.indexOf(end)
      if (at !== -1) return this.received.length - fresh.length + at + end.length
      this.#fresh = fresh.slice(1 - end.length)
      return undefined
    }, 'the end of a message')
    this.#fresh = undefined
    const text = this.received.slice(this.#cursor, after - '.\r\n'.length)
    this.#cursor = after
    return text
  }

  /** One line without its CRLF. */
  async line(): Promise<string> {
    const [, text = ''] = await this.expect(/^(.*)\r\n/)
    return text
  }

  /** Waits until the other end has closed; returns what was left unread. */
  async end(): Promise<string> {
    await this.#until(() => this.closed || undefined, 'the end of the connection')
    const rest = this.received.slice(this.#cursor)
    this.#cursor = this.received.length
    return rest
  }

  get unread(): string {
    return this.received.slice(this.#cursor)
  }

  async #until<T>(check: () => T | null | undefined, what: string): Promise<T> {
    const deadline = Date.now() + patience
    for (;;) {
      const found = check()
      if (found !== null && found !== undefined) return found
      const left = deadline - Date.now()
      if (this.closed || left <= 0) {
        const why = this.closed ? 'closed' : 'timed out'
        const unread = JSON.stringify(this.unread.slice(-1_000))
        throw new Error(`${why} waiting for ${what}; unread at last: ${unread}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

/** A back-end whose every connection is played by `script`; connections are numbered from 0. */
export class ScriptedBackend implements AsyncDisposable {
  readonly peers: Peer[] = []
  readonly port: number
  readonly failures: Error[] = []
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    const address = server.address()
    this.port = address !== null && typeof address === 'object' ? address.port : 0
  }

  static async start(
    script: (peer: Peer, number: number) => Promise<void>,
  ): Promise<ScriptedBackend> {
    const server = createServer({ allowHalfOpen: false })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const backend = new ScriptedBackend(server)
    server.on('connection', (socket) => {
      const peer = new Peer(socket)
      script(peer, backend.peers.push(peer) - 1).catch((error: unknown) => {
        backend.failures.push(error instanceof Error ? error : new Error(String(error)))
        socket.destroy()
      })
    })
    return backend
  }

  /** The connection of that number, once it has come. */
  async peerNumber(number: number): Promise<Peer> {
    const signal = AbortSignal.timeout(patience)
    while (this.peers.length <= number) await once(this.#server, 'connection', { signal })
    const peer = this.peers[number]
    if (peer === undefined) throw new Error(`no connection ${number}`)
    return peer
  }

  /** Everything that was ever sent to it, all connections in order. */
  get received(): string {
    return this.peers.map((peer) => peer.received).join('')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.peers) peer.socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
