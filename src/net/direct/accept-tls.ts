/**
 * Takes a client's TLS handshake over a direct socket. Who asks for more than is done here is Node's: nothing
 * of what it has sent was taken.
 */
import { type ClientHello, readClientHello } from './client-hello.ts'
import { DirectSocket } from './direct-socket.ts'
import type { OpenSsl } from './openssl.ts'
import type { Polled, Poller } from './poller.ts'
import type { SocketAddress } from './socket-address.ts'
import { interrupted, pollEvents, wouldBlock } from './system-calls.ts'
import type { TlsContexts } from './tls-contexts.ts'
import { TlsSession } from './tls-session.ts'

export interface DirectTls {
  readonly poller: Poller
  readonly openSsl: OpenSsl
}

interface Outcome {
  /** Undefined: the handshake has failed, and the connection is closed. */
  readonly done: (socket: DirectSocket | undefined) => void
  /** The connection as it was: nothing of it is read yet. */
  readonly isNodes: (socket: DirectSocket) => void
}

/** A message of one record; what is longer is Node's. */
const helloBytes = 5 + 16_384
const ended = pollEvents.peerEnded | pollEvents.hangUp | pollEvents.error
const scratch = Buffer.allocUnsafeSlow(helloBytes)

/** Tells one of the outcomes, later, unless it is cancelled, by which the connection is closed. */
export function acceptTlsDirectly(
  tls: DirectTls,
  { contexts, socket }: { readonly contexts: TlsContexts; readonly socket: DirectSocket },
  outcome: Outcome,
): () => void {
  const handshake = new Handshake(tls, contexts, socket, outcome)
  return () => handshake.cancel()
}

class Handshake implements Polled {
  readonly #tls: DirectTls
  readonly #contexts: TlsContexts
  readonly #outcome: Outcome
  readonly #remote: SocketAddress
  #descriptor: number
  #session: TlsSession | undefined
  #hasAskedTurn = false
  #events = 0
  /** What Node goes on with. */
  #given: DirectSocket | undefined

  constructor(tls: DirectTls, contexts: TlsContexts, socket: DirectSocket, outcome: Outcome) {
    this.#tls = tls
    this.#contexts = contexts
    this.#outcome = outcome
    this.#remote = { address: socket.remoteAddress, port: socket.remotePort }
    const { descriptor } = socket.giveAway({ destroy: () => this.#giveUp() })
    this.#descriptor = descriptor
    tls.poller.handOver(this.#descriptor, this)
  }

  noted(events: number): void {
    this.#events |= events
    if (this.#hasAskedTurn) return
    this.#hasAskedTurn = true
    this.#tls.poller.askTurn(this)
  }

  haveTurn(): void {
    this.#hasAskedTurn = false
    if (this.#descriptor < 0) return
    if (this.#session === undefined) this.#listen()
    else this.#proceed(this.#session)
  }

  cancel(): void {
    if (this.#descriptor < 0) return
    this.#session?.release()
    this.#tls.poller.close(this.#descriptor)
    this.#descriptor = -1
  }

  /** Looks at what the client wants, and leaves it where it is. */
  #listen(): void {
    const count = this.#tls.poller.calls.peek(this.#descriptor, scratch)
    if (count === wouldBlock) return
    const hello = count > 0 ? readClientHello(scratch.subarray(0, count)) : undefined
    if (hello === undefined) this.#fail()
    else if (hello === 'other') this.#giveToNode()
    else if (hello !== 'incomplete') this.#begin(hello)
    else if ((this.#events & ended) !== 0) this.#fail()
  }

  #begin({ serverName, offersProtocols }: ClientHello): void {
    // OpenSSL would ask us which it is to be, by calling back.
    if (offersProtocols) return this.#giveToNode()
    const { openSsl, poller } = this.#tls
    const context = this.#contexts.contextFor(serverName)
    try {
      this.#session = new TlsSession(openSsl, poller.calls, context, this.#descriptor)
    } catch {
      // There is no memory for it.
      return this.#fail()
    }
    this.#proceed(this.#session)
  }

  #proceed(session: TlsSession): void {
    const result = session.handshake()
    if (result === wouldBlock) return
    if (result === interrupted) return this.noted(0)
    if (result < 0) return this.#fail()
    this.#outcome.done(this.#socketOf(session))
  }

  /** Whoever has given it the connection wants it closed. */
  #giveUp(): void {
    this.#given?.destroy()
    if (this.#descriptor < 0) return
    this.cancel()
    process.nextTick(() => this.#outcome.done(undefined))
  }

  #fail(): void {
    this.cancel()
    this.#outcome.done(undefined)
  }

  #giveToNode(): void {
    const given = this.#socketOf(undefined)
    this.#given = given
    this.#outcome.isNodes(given)
  }

  #socketOf(tls: TlsSession | undefined): DirectSocket {
    const descriptor = this.#descriptor
    this.#descriptor = -1
    const { poller } = this.#tls
    if (tls === undefined) poller.remove(descriptor)
    const own = { descriptor, remote: this.#remote }
    return new DirectSocket(poller, tls === undefined ? own : { ...own, tls, events: this.#events })
  }
}
