/** A client and a back-end with a pump between them: real sockets, in clear text or TLS. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'
import type { TlsMode } from '../../src/config/config.ts'
import type { Connection } from '../../src/net/connection.ts'
import { type DialResult, dial, type Inlet, upgrade } from '../../src/net/dial.ts'
import { Pump } from '../../src/net/pump.ts'
import type { PumpEnd } from '../../src/net/pump-options.ts'
import { quietBuffer } from '../../src/net/read-buffer.ts'
import { acceptTls } from '../../src/net/accept-tls.ts'
import { createBackendTls, createServerTls } from '../../src/net/tls.ts'
import { acceptedPair } from './accepted.ts'
import { makeAuthority } from './certificates.ts'

const authority = makeAuthority()
const issued = authority.issue(['fritz.example.com'])
const serverTls = createServerTls([issued], 'TLSv1.2')
const trust = { context: createBackendTls(authority.ca), name: 'fritz.example.com' }

export interface JoinedOptions {
  readonly client?: 'plain' | 'tls'
  readonly backend?: TlsMode
  readonly idleTimeoutMs?: number
  /** How long the client may stay after its back-end has gone. */
  readonly delayMs?: number
  /** What was read too far before the join. */
  readonly toClient?: string
  readonly toBackend?: string
}

export interface Joined {
  /** The far ends: what a mail program and a back-end hold. */
  readonly client: Socket
  readonly backend: Socket
  /** Our own ends. */
  readonly near: { readonly client: Connection; readonly backend: Connection }
  readonly pump: Pump
  readonly ended: Promise<PumpEnd>
}

/** The inlet of the dialled socket: reads go to the pump once there is one. */
class Holder implements Inlet {
  pump: Pump | undefined

  readBuffer(): Buffer {
    return this.pump?.readBuffer() ?? quietBuffer
  }

  take(length: number, buffer: Buffer): boolean {
    return this.pump?.take(length, buffer) ?? true
  }
}

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

/** One accepted connection; the server listens no more. */
async function accepted(server: Server): Promise<Socket> {
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('error', () => undefined)
  server.close()
  return socket
}

const imapTls = { name: 'imap', alpn: 'imap', ticketKey: randomBytes(48) }

async function clientPair(mode: 'plain' | 'tls'): Promise<[far: Socket, near: Connection]> {
  const { near, far: raw } = await acceptedPair()
  if (mode === 'plain') return [raw, near]
  const far = tlsConnect({ socket: raw, ca: authority.ca, servername: 'fritz.example.com' })
  far.on('error', () => undefined)
  const secured = await new Promise<Connection | undefined>((resolve) => {
    acceptTls(near, { serverTls: serverTls.forService(imapTls), asksCertificate: false }, resolve)
  })
  if (secured === undefined) throw new Error('no TLS with the client')
  return [far, secured]
}

function serveTls(raw: Socket): TLSSocket {
  const secureContext = createSecureContext(issued)
  return new TLSSocket(raw, { isServer: true, secureContext }).on('error', () => undefined)
}

async function backendPair(tls: TlsMode, inlet: Inlet): Promise<[far: Socket, near: Connection]> {
  const { server, port } = await listening()
  const endpoint = { host: '127.0.0.1', port, tls }
  const result = new Promise<DialResult>((resolve) => {
    dial({ endpoint, trust, timeoutMs: 5000, inlet }, resolve)
  })
  let far = await accepted(server)
  if (tls === 'implicit') far = serveTls(far)
  let dialled = await result
  if (tls === 'starttls' && dialled.ok) {
    const { socket } = dialled
    far = serveTls(far)
    dialled = await new Promise((resolve) => {
      upgrade({ socket, trust, timeoutMs: 5000, inlet }, resolve)
    })
  }
  if (!dialled.ok) throw new Error(dialled.failure.detail)
  return [far, dialled.socket]
}

export async function join(options: JoinedOptions = {}): Promise<Joined> {
  const holder = new Holder()
  const [client, nearClient] = await clientPair(options.client ?? 'plain')
  const [backend, nearBackend] = await backendPair(options.backend ?? 'none', holder)
  const { promise: ended, resolve } = Promise.withResolvers<PumpEnd>()
  const pump = new Pump({
    client: nearClient,
    backend: nearBackend,
    idleTimeoutMs: options.idleTimeoutMs ?? 60_000,
    ...(options.delayMs === undefined ? {} : { delayMs: () => options.delayMs ?? 0 }),
    onEnd: { pumpEnded: resolve },
  })
  holder.pump = pump
  nearClient.allowHalfOpen = true
  pump.start(Buffer.from(options.toClient ?? ''), Buffer.from(options.toBackend ?? ''))
  return { client, backend, near: { client: nearClient, backend: nearBackend }, pump, ended }
}
