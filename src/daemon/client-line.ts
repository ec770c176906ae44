/**
 * The connection to a client for as long as a machine reads it: hands over what arrives, sends what
 * is said, upgrades to TLS, and ends without losing the last words. After a login the socket goes to
 * the pump and the line is dropped.
 */
import type { ServiceName } from '../base/log.ts'
import { type ShownCertificate, shownCertificate } from '../net/client-certificate.ts'
import { acceptTls } from '../net/accept-tls.ts'
import { type Connection, describeTls } from '../net/connection.ts'
import { clientTls } from './client-tls.ts'
import type { Runtime } from './runtime.ts'

/** What a line tells. After `gone` nothing follows. */
export interface LineOwner {
  readonly service: ServiceName
  received(chunk: Buffer): void
  /** The client sends no more; all that it sent was `received`. */
  ended(): void
  failed(): void
  gone(): void
}

/** One of the two is called, once. */
interface TlsWaiter {
  readonly secured: () => void
  readonly failed: () => void
}

const lineOf = Symbol('line')

/** Kept at the socket, so that listeners are shared functions. */
interface Owned extends Connection {
  [lineOf]?: ClientLine | undefined
}

export class ClientLine {
  bytesIn = 0
  bytesOut = 0
  /** Protocol version, '' in clear text. */
  tls = ''
  cipher = ''
  /** What the client has shown, where it was asked. */
  certificate: ShownCertificate | undefined
  readonly owner: LineOwner
  readonly #asksCertificate: boolean
  #socket: Owned
  #isHeld = false
  #isUnread = false
  /** A handshake is under way, in which nothing can be said. */
  #isSecuring = false

  constructor(socket: Connection, owner: LineOwner, asksCertificate = false) {
    this.#socket = socket
    this.owner = owner
    this.#asksCertificate = asksCertificate
    // A client may end its side and still be owed the answer to what it sent before.
    socket.allowHalfOpen = true
  }

  get socket(): Connection {
    return this.#socket
  }

  listen(): void {
    const socket = this.#socket
    socket[lineOf] = this
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
    socket.resume()
  }

  /** Octets have come that nobody has taken. */
  get hasInput(): boolean {
    return this.#socket.readableLength > 0
  }

  /** Text as latin1. Who does not read our answers is not asked for more questions. */
  send(text: string): void {
    if (this.#isSecuring) return
    this.bytesOut += text.length
    if (this.#socket.write(text, 'latin1') || this.#isUnread) return
    this.#isUnread = true
    this.#socket.pause()
    this.#socket.once('drain', onDrain)
  }

  /** Lets input wait in the stream, which stops reading when it is full. */
  hold(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    this.#socket.pause()
  }

  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    if (!this.#isUnread) this.#socket.resume()
  }

  drained(): void {
    this.#isUnread = false
    if (!this.#isHeld) this.#socket.resume()
  }

  /** Takes the client's handshake, which fails without certificates; the owner hears nothing until then. */
  startTls(runtime: Runtime, { secured, failed }: TlsWaiter): void {
    const serverTls = clientTls(runtime, this.owner.service)
    if (serverTls === undefined) return failed()
    const asksCertificate = this.#asksCertificate && serverTls.takesCertificates
    const { clientUser } = runtime.current.config.tls
    this.#isSecuring = true
    return acceptTls(this.detach(), { serverTls, asksCertificate }, (socket) => {
      this.#isSecuring = false
      if (socket === undefined) return failed()
      this.#socket = socket
      const { protocol, cipher } = describeTls(socket)
      this.tls = protocol
      this.cipher = cipher
      this.certificate = asksCertificate ? shownCertificate(socket, clientUser) : undefined
      this.#isHeld = false
      this.#isUnread = false
      this.listen()
      return secured()
    })
  }

  /** Gives the socket away, paused, with what was not yet `received` still in it. */
  detach(): Connection {
    const socket = this.#socket
    socket.pause()
    socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
    socket.off('drain', onDrain)
    socket[lineOf] = undefined
    return socket
  }

  /**
   * Sends what is unsent, then ends; input is thrown away, so that no reset loses the last words. A
   * client that has said that it leaves, and was heard until then, is not waited for.
   */
  end(isLeaving = false): void {
    if (this.#isSecuring) return this.destroy()
    const socket = this.#socket
    socket.off('data', onData)
    if (!isLeaving || this.#isHeld || this.#isUnread) {
      socket.end()
      socket.resume()
    } else if (socket.writableLength === 0 && this.tls === '') socket.destroy()
    else socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  took(chunk: Buffer): void {
    this.bytesIn += chunk.length
    this.owner.received(chunk)
  }
}

function onData(this: Owned, chunk: Buffer): void {
  this[lineOf]?.took(chunk)
}

function onDrain(this: Owned): void {
  this[lineOf]?.drained()
}

function onEnd(this: Owned): void {
  this[lineOf]?.owner.ended()
}

function onError(this: Owned): void {
  this[lineOf]?.owner.failed()
}

function onClose(this: Owned): void {
  this[lineOf]?.owner.gone()
}
