/**
 * Connections to back-ends: every address of a name is tried, TLS is verified always, and what goes
 * wrong is told as a kind of failure, never thrown. STARTTLS is an upgrade that works or fails: no
 * function here falls back to plain text.
 *
 * Results come by callback, once, and never before the function has returned its cancel function.
 */
import { isIP, connect as netConnect, type OnReadOpts } from 'node:net'
import {
  checkServerIdentity,
  type SecureContext,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls'
import { messageOf } from '../base/error.ts'
import { limits } from '../base/limit.ts'
import { type BackendReason, printable } from '../base/log.ts'
import type { BackendConfig, Endpoint } from '../config/config.ts'
import { type Connection, isReadyForTls, nodeSocketOf } from './connection.ts'
import { attemptMs, dialEach, type HostToTry } from './dial-each.ts'
import { isShortOfDescriptors } from './descriptors.ts'
import { connectDirectly } from './direct/connect.ts'
import { directSockets } from './direct/direct-sockets.ts'
import type { Poller } from './direct/poller.ts'
import { pinOf } from './peer-certificate.ts'
import { hostResolver } from './resolve-host.ts'

/** What a back-end must prove: a certificate of these authorities that bears this name. */
export interface Trust {
  readonly context: SecureContext
  readonly name: string
  /** Of which its key must be one, where there are any; then, for `isPinEnough`, that is all. */
  readonly pins?: readonly string[]
  readonly isPinEnough?: boolean
}

type Pinned = Pick<BackendConfig, 'tlsName' | 'tlsPins' | 'tlsCaFile'>

/** `context`: that of the back-end; undefined where it is spoken to without TLS. */
export function trustIn(backend: Pinned, context: SecureContext | undefined): Trust | undefined {
  if (context === undefined) return undefined
  const { tlsName: name, tlsPins: pins, tlsCaFile } = backend
  // Who names authorities besides wants them heard.
  return { context, name, pins, isPinEnough: pins.length > 0 && tlsCaFile === undefined }
}

/**
 * Where bytes of a connection go. On sockets that were dialled they are read into a buffer of the
 * inlet's choice: `take` gets it back with the number of bytes in it.
 */
export interface Inlet {
  /** The buffer for the next read; asked for after each `take`, and once at the start. */
  readBuffer(): Buffer
  /** The bytes are lent until it returns. False: read no more until the socket's `resume()`. */
  take(length: number, buffer: Buffer): boolean
}

export interface DialOptions {
  readonly endpoint: Endpoint
  /** Needed unless the endpoint's TLS mode is `none`. */
  readonly trust: Trust | undefined
  /** For resolving, connecting and, where implicit, TLS; milliseconds. */
  readonly timeoutMs: number
  /** Takes what arrives; without one the socket emits `data`. */
  readonly inlet?: Inlet | undefined
  readonly preface?: Preface | undefined
}

/** What is sent before anything else, TLS included, once it is known which ends are connected. */
export type Preface = (connection: Connection) => Buffer

export interface UpgradeOptions {
  /** A connection made by `dial`, with nothing unsent. */
  readonly socket: Connection
  readonly trust: Trust
  readonly timeoutMs: number
  readonly inlet?: Inlet | undefined
}

export interface DialFailure {
  readonly step: 'connect' | 'tls'
  readonly reason: BackendReason
  readonly detail: string
}

export type DialResult =
  | { readonly ok: true; readonly socket: Connection }
  | { readonly ok: false; readonly failure: DialFailure }

/** Gives up: the connection is destroyed and no result is given. Does nothing after a result. */
export type Cancel = () => void

/** No error of a socket may end the process; whoever owns it also hears `close`. */
export function ignoreError(): void {}

/**
 * Connects, with TLS where the endpoint says `implicit`. The socket has noDelay, lets the other
 * side close first (`allowHalfOpen`), and emits errors without harm.
 */
export function dial(options: DialOptions, done: (result: DialResult) => void): Cancel {
  const { endpoint, trust, timeoutMs, inlet, preface } = options
  if (preface !== undefined && endpoint.tls === 'implicit') return dialTwice(options, done)
  // A zone is for Node to tell.
  const isPlain = endpoint.tls !== 'implicit' && !endpoint.host.includes('%')
  const poller = isPlain ? directSockets() : undefined
  if (poller !== undefined) return dialDirectly(poller, options, done)
  const target = {
    host: endpoint.host,
    port: endpoint.port,
    noDelay: true,
    allowHalfOpen: true,
    ...(isIP(endpoint.host) === 0
      ? { lookup: hostResolver.lookup, autoSelectFamilyAttemptTimeout: attemptMs(timeoutMs) }
      : { autoSelectFamily: false }),
    ...(inlet === undefined ? {} : { onread: readInto(inlet) }),
  }
  if (endpoint.tls !== 'implicit') {
    const socket = netConnect(target)
    if (preface !== undefined) socket.once('connect', () => socket.write(preface(socket)))
    return settle({ socket, ready: 'connect', timeoutMs }, done)
  }
  const verified = required(trust)
  const socket = tlsConnect({ ...target, ...verification(verified) })
  return settle({ socket, ready: 'secureConnect', timeoutMs, pins: verified.pins }, done)
}

/** By a socket of our own, which is cheaper, where there is to be no TLS from the beginning. */
function dialDirectly(
  poller: Poller,
  { endpoint, timeoutMs, inlet, preface }: DialOptions,
  done: (result: DialResult) => void,
): Cancel {
  const { host, port } = endpoint
  const tryAddress: HostToTry['tryAddress'] = (address, limitMs, settled) => {
    const socket = connectDirectly(poller, { address, port }, inlet)
    if (preface !== undefined) socket.once('connect', () => socket.write(preface(socket)))
    return settle({ socket, ready: 'connect', timeoutMs: limitMs }, settled)
  }
  return dialEach({ host, timeoutMs, tryAddress, failureOf: connectFailure }, done)
}

/** Clear text before TLS: the connection comes first, and TLS over it. */
function dialTwice(options: DialOptions, done: (result: DialResult) => void): Cancel {
  const { endpoint, trust, timeoutMs, inlet } = options
  const deadline = performance.now() + timeoutMs
  let cancel = dial({ ...options, endpoint: { ...endpoint, tls: 'none' } }, (result) => {
    if (!result.ok) return done(result)
    const { socket } = result
    const leftMs = Math.max(1, deadline - performance.now())
    cancel = upgrade({ socket, trust: required(trust), timeoutMs: leftMs, inlet }, done)
  })
  return () => cancel()
}

/**
 * Puts TLS over an open connection. What arrived unread before it is taken as part of the
 * handshake, which then fails: nothing said in plain text counts afterwards.
 */
export function upgrade(options: UpgradeOptions, done: (result: DialResult) => void): Cancel {
  const { trust, timeoutMs, inlet } = options
  options.socket.removeAllListeners('data')
  if (!isReadyForTls(options.socket)) return failLater(options, done)
  const socket = tlsConnect({ socket: nodeSocketOf(options.socket), ...verification(trust) })
  if (inlet !== undefined) {
    socket.on('data', (chunk: Buffer) => {
      if (!inlet.take(chunk.length, chunk)) socket.pause()
    })
  }
  return settle({ socket, ready: 'secureConnect', timeoutMs, pins: trust.pins }, done)
}

/** Who has not taken what was said before, or is gone, gets no handshake. */
function failLater({ socket }: UpgradeOptions, done: (result: DialResult) => void): Cancel {
  socket.destroy()
  const failure = { step: 'tls', reason: 'closed', detail: describe(undefined) } as const
  const immediate = setImmediate(() => done({ ok: false, failure }))
  return () => clearImmediate(immediate)
}

function required(trust: Trust | undefined): Trust {
  if (trust === undefined) throw new Error('TLS to a back-end without its trust')
  return trust
}

function readInto(inlet: Inlet): OnReadOpts {
  return {
    buffer: () => inlet.readBuffer(),
    callback: (length, buffer) => inlet.take(length, buffer as Buffer),
  }
}

/** The name is checked also where it is an address, for which no SNI may be sent (RFC 6066 3). */
function verification({ context, name, isPinEnough = false }: Trust) {
  return {
    secureContext: context,
    rejectUnauthorized: !isPinEnough,
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_asked: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(name, certificate),
  }
}

interface Attempt {
  readonly socket: Connection
  readonly ready: 'connect' | 'secureConnect'
  readonly timeoutMs: number
  readonly pins?: readonly string[] | undefined
}

function settle(attempt: Attempt, done: (result: DialResult) => void): Cancel {
  const { socket, ready, timeoutMs, pins = [] } = attempt
  let connected = !socket.connecting
  let thrown: Error | undefined
  socket.on('error', ignoreError)
  const finish = (): void => {
    clearTimeout(timer)
    if (ready !== 'connect') socket.off('connect', onConnect)
    socket.off(ready, onReady).off('error', onError).off('close', onClose)
  }
  const fail = (failure: DialFailure): void => {
    finish()
    socket.destroy()
    done({ ok: false, failure })
  }
  const onConnect = (): void => {
    connected = true
  }
  const onReady = (): void => {
    if (isShortOfDescriptors(socket, limits.lastDescriptors)) return fail(shortage())
    const pin = pins.length === 0 ? '' : pinOf(socket)
    if (pins.length > 0 && !pins.includes(pin)) return fail(otherKey(pin))
    finish()
    done({ ok: true, socket })
  }
  const onError = (error: Error): void => {
    thrown = error
    // A TLS socket may report an error and stay open.
    socket.destroy()
  }
  const onClose = (): void => fail(connected ? tlsFailure(socket, thrown) : connectFailure(thrown))
  const timer = setTimeout(() => {
    fail({
      step: connected ? 'tls' : 'connect',
      reason: 'timeout',
      detail: `not ${connected ? 'secure' : 'connected'} after ${timeoutMs} ms`,
    })
  }, timeoutMs)
  if (ready !== 'connect') socket.on('connect', onConnect)
  socket.on(ready, onReady).on('error', onError).on('close', onClose)
  return () => {
    finish()
    socket.destroy()
  }
}

function connectFailure(error: Error | undefined): DialFailure {
  const detail = printable(describe(error))
  const code = codeOf(error)
  if (code === 'ETIMEDOUT' || code === 'ERR_SOCKET_CONNECTION_TIMEOUT') {
    return { step: 'connect', reason: 'timeout', detail }
  }
  if (code === 'EMFILE' || code === 'ENFILE') return shortage()
  const reason = error === undefined || code === 'ECONNRESET' ? 'closed' : 'refused'
  return { step: 'connect', reason, detail }
}

function shortage(): DialFailure {
  return { step: 'connect', reason: 'no_descriptor', detail: 'too many open files (ulimit -n)' }
}

function otherKey(pin: string): DialFailure {
  return { step: 'tls', reason: 'cert', detail: `its key is none that is pinned: ${pin}` }
}

function tlsFailure(socket: Connection, error: Error | undefined): DialFailure {
  const refused = (socket as TLSSocket).authorizationError
  const isCertificate = refused !== null && refused !== undefined
  const reason = isCertificate ? 'cert' : 'tls_handshake'
  return { step: 'tls', reason, detail: printable(describe(error)) }
}

/** When every address of a name failed, the first failure speaks for all. */
function firstOf(error: Error | undefined): unknown {
  return error instanceof AggregateError ? error.errors[0] : error
}

function codeOf(error: Error | undefined): string {
  const first = firstOf(error)
  return first instanceof Error && 'code' in first ? String(first.code) : ''
}

function describe(error: Error | undefined): string {
  return error === undefined ? 'closed without an answer' : messageOf(firstOf(error))
}
