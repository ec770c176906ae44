/** TLS with a client, over a connection that was accepted, for STARTTLS and implicit TLS alike. */
import { type SecureContext, TLSSocket } from 'node:tls'
import { waits } from '../base/limit.ts'
import { type Connection, isReadyForTls, nodeSocketOf } from './connection.ts'
import { acceptTlsDirectly } from './direct/accept-tls.ts'
import { DirectSocket } from './direct/direct-socket.ts'
import { directTls } from './direct/direct-sockets.ts'
import type { ServiceTls } from './tls.ts'

interface Wanted {
  readonly serverTls: ServiceTls
  readonly asksCertificate: boolean
}

type Done = (socket: Connection | undefined) => void

/**
 * Takes a client's handshake over an accepted socket, which must have nothing unsent. Answers once:
 * with the connection to go on with, or with undefined when the handshake failed or took longer than
 * ten seconds; then everything is destroyed already. `asksCertificate`: of the client, who need not
 * have one, and whose handshake succeeds whatever it shows: `shownCertificate` tells. `serverTls` must
 * take them.
 */
export function acceptTls(raw: Connection, wanted: Wanted, done: Done): void {
  if (!isReadyForTls(raw)) return refuse(raw, done)
  const [tls, contexts] = [directTls(), wanted.serverTls.direct]
  const isDirect = raw instanceof DirectSocket && raw.readableLength === 0
  if (tls === undefined || contexts === undefined || !isDirect || wanted.asksCertificate) {
    return acceptByNode(raw, wanted, done)
  }
  const cancel = acceptTlsDirectly(
    tls,
    { contexts, socket: raw },
    {
      done: (socket) => finish(socket),
      isNodes: (socket) => {
        clearTimeout(timer)
        acceptByNode(socket, wanted, done)
      },
    },
  )
  const timer = setTimeout(() => {
    cancel()
    finish(undefined)
  }, waits.tlsHandshakeMs)
  const finish = (socket: Connection | undefined): void => {
    clearTimeout(timer)
    done(socket)
  }
}

/** Who does not read what was said before, or is gone already, gets no handshake. */
function refuse(raw: Connection, done: Done): void {
  raw.destroy()
  process.nextTick(done, undefined)
}

function acceptByNode(raw: Connection, { serverTls, asksCertificate }: Wanted, done: Done): void {
  if (!isReadyForTls(raw)) return refuse(raw, done)
  const socket = new TLSSocket(nodeSocketOf(raw), {
    isServer: true,
    secureContext: serverTls.defaultContext,
    ALPNProtocols: [serverTls.alpn],
    requestCert: asksCertificate,
    rejectUnauthorized: false,
    ...(serverTls.size > 1 ? { SNICallback: chooser(serverTls) } : {}),
  })
  const finish = (result: TLSSocket | undefined): void => {
    clearTimeout(timer)
    socket.off('secure', onSecure).off('close', onClose)
    if (result === undefined) socket.destroy()
    done(result)
  }
  const onSecure = (): void => finish(socket)
  const onClose = (): void => finish(undefined)
  const timer = setTimeout(onClose, waits.tlsHandshakeMs)
  socket.on('secure', onSecure).on('close', onClose).on('error', destroyThis)
  // Without a tls.Server, Node reports a failure after the handshake by this event alone.
  socket.on('_tlsError', destroyThis)
}

function destroyThis(this: TLSSocket): void {
  this.destroy()
}

type Choose = (serverName: string, answer: (error: null, context: SecureContext) => void) => void

function chooser(serverTls: ServiceTls): Choose {
  return (serverName, answer) => answer(null, serverTls.contextFor(serverName))
}
