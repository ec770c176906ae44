/**
 * The system calls of Linux that sockets need, and the parts of libuv by which Node's event loop
 * watches one more descriptor: by `node:ffi` (Node 26.1 and newer). A call costs a fiftieth of a
 * microsecond beside what the kernel takes; a socket of Node costs ten of user time in a login.
 *
 * Results are as the kernel gives them: a failure is a negative error number.
 */
import type * as ffi from 'node:ffi'
import { constants } from 'node:os'
import type { Link } from './link.ts'

export type ForeignFunctions = typeof ffi

/** Flags of sockets that are made: SOCK_CLOEXEC and SOCK_NONBLOCK. */
const socketFlags = 0o2000000 | 0o4000
const streamType = 1
/** MSG_PEEK: what is read stays unread. */
const peekFlag = 2
const epollCloseOnExec = 0o2000000
/** UV_POLL of uv.h, and its UV_READABLE. */
const pollHandle = 8
const readable = 1

/** What an event says, and is asked for: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP. */
export const pollEvents = { in: 1, out: 4, error: 8, hangUp: 0x10, peerEnded: 0x2000 } as const
/** EPOLLET: each change is told once. */
export const edgeTriggered = -0x8000_0000
/** What epoll_ctl does. */
export const pollChange = { add: 1, remove: 2 } as const
/** Level and name of a socket option. */
export const socketOptions = {
  error: [1, 4],
  keepAlive: [1, 9],
  noDelay: [6, 1],
  keepIdleSeconds: [6, 4],
  keepIntervalSeconds: [6, 5],
  keepCount: [6, 6],
} as const

/** Of `shutdown`: nothing more is sent. */
const sendSide = 1
/** The kernel packs the structure on one processor alone. */
const eventBytes = process.arch === 'x64' ? 12 : 16
const eventWords = eventBytes / 4
const descriptorWord = eventWords - 2
const addressBytes = 28
/** INET6_ADDRSTRLEN. */
const addressTextBytes = 46
const mostEvents = 256
/** As Node has them. */
const keepAliveIntervalSeconds = 1
const keepAliveCount = 10

const { EAGAIN, EINPROGRESS, EINTR } = constants.errno
export const wouldBlock = -EAGAIN
export const inProgress = -EINPROGRESS
export const interrupted = -EINTR

/** What the last call of this thread that failed has left as its number. */
export function errorNumberOf({ DynamicLibrary, toArrayBuffer }: ForeignFunctions): Int32Array {
  const type = { arguments: [], return: 'uint64' } as const
  const location = new DynamicLibrary(null).getFunction('__errno_location', type)
  return new Int32Array(toArrayBuffer(location(), 4, false))
}

function bind(foreignFunctions: ForeignFunctions) {
  const { DynamicLibrary, getCurrentEventLoop, getRawPointer } = foreignFunctions
  const library = new DynamicLibrary(null)
  const call = <const Arguments extends readonly ffi.ArgumentType[]>(
    name: string,
    parameters: Arguments,
  ) => library.getFunction(name, { arguments: parameters, return: 'int32' })
  const size = library.getFunction('uv_handle_size', { arguments: ['int32'], return: 'uint64' })
  return {
    library,
    errorNumber: errorNumberOf(foreignFunctions),
    loop: getCurrentEventLoop(),
    pollHandleBytes: Number(size(pollHandle)),
    pointerTo: (bytes: Uint8Array) => getRawPointer(bytes),
    socket: call('socket', ['int32', 'int32', 'int32']),
    connect: call('connect', ['int32', 'buffer', 'uint32']),
    accept4: call('accept4', ['int32', 'buffer', 'buffer', 'int32']),
    recv: call('recv', ['int32', 'buffer', 'uint64', 'int32']),
    // Node is quicker with three arguments than with four, and ignores SIGPIPE.
    read: call('read', ['int32', 'buffer', 'uint64']),
    write: call('write', ['int32', 'buffer', 'uint64']),
    shutdown: call('shutdown', ['int32', 'int32']),
    close: call('close', ['int32']),
    setsockopt: call('setsockopt', ['int32', 'int32', 'int32', 'buffer', 'uint32']),
    getsockopt: call('getsockopt', ['int32', 'int32', 'int32', 'buffer', 'buffer']),
    getsockname: call('getsockname', ['int32', 'buffer', 'buffer']),
    inet_pton: call('inet_pton', ['int32', 'buffer', 'buffer']),
    inet_ntop: library.getFunction('inet_ntop', {
      arguments: ['int32', 'buffer', 'buffer', 'uint32'],
      return: 'uint64',
    }),
    epollCreate: call('epoll_create1', ['int32']),
    epollControl: call('epoll_ctl', ['int32', 'int32', 'int32', 'buffer']),
    epollWait: call('epoll_wait', ['int32', 'buffer', 'int32', 'int32']),
    uvBackend: call('uv_backend_fd', ['uint64']),
    uvPollInit: call('uv_poll_init', ['uint64', 'uint64', 'int32']),
    uvPollStart: call('uv_poll_start', ['uint64', 'int32', 'uint64']),
    uvRef: library.getFunction('uv_ref', { arguments: ['uint64'], return: 'void' }),
    uvUnref: library.getFunction('uv_unref', { arguments: ['uint64'], return: 'void' }),
  }
}

/** A descriptor of Node's loop; never ended, for it has one for as long as the process lives. */
export interface LoopWatch {
  /** Whether it alone keeps the process alive. */
  keepAlive(isWanted: boolean): void
}

export class SystemCalls implements Link {
  readonly #calls: ReturnType<typeof bind>
  readonly #number = new Int32Array(1)
  readonly #numberOctets = new Uint8Array(this.#number.buffer)
  readonly #length = new Uint32Array(1)
  readonly #lengthOctets = new Uint8Array(this.#length.buffer)
  readonly #address = Buffer.alloc(addressBytes)
  readonly #change = new Int32Array(eventWords)
  readonly #changeOctets = new Uint8Array(this.#change.buffer)
  readonly #events = new Int32Array(eventWords * mostEvents)
  readonly #eventOctets = new Uint8Array(this.#events.buffer)
  /** What libuv and the kernel hold of memory of ours. */
  readonly #kept: unknown[] = []

  /** Throws where the bridge to the system, or one of its functions, is not there. */
  constructor(foreignFunctions: ForeignFunctions) {
    this.#calls = bind(foreignFunctions)
  }

  #result(value: number): number {
    return value === -1 ? -(this.#calls.errorNumber[0] ?? 0) : value
  }

  /** `family`: that of a socket address. Returns a descriptor. */
  socket(family: number): number {
    return this.#result(this.#calls.socket(family, streamType | socketFlags, 0))
  }

  connect(descriptor: number, address: Uint8Array): number {
    return this.#result(this.#calls.connect(descriptor, address, address.length))
  }

  /** Returns a descriptor; the client's address is in `lastAddress`. */
  accept(listening: number): number {
    this.#length[0] = addressBytes
    const { accept4 } = this.#calls
    return this.#result(accept4(listening, this.#address, this.#lengthOctets, socketFlags))
  }

  /** The address that `accept` or `localAddress` has found; lent until the next. */
  get lastAddress(): Buffer {
    return this.#address
  }

  localAddress(descriptor: number): number {
    this.#length[0] = addressBytes
    return this.#result(this.#calls.getsockname(descriptor, this.#address, this.#lengthOctets))
  }

  receive(descriptor: number, octets: Uint8Array): number {
    return this.#result(this.#calls.read(descriptor, octets, BigInt(octets.length)))
  }

  isAtEnd(descriptor: number): boolean {
    return this.peek(descriptor, this.#numberOctets) === 0
  }

  /** As `receive`, and what came stays to be received. */
  peek(descriptor: number, octets: Uint8Array): number {
    return this.#result(this.#calls.recv(descriptor, octets, BigInt(octets.length), peekFlag))
  }

  send(descriptor: number, octets: Uint8Array, length: number): number {
    return this.#result(this.#calls.write(descriptor, octets, BigInt(length)))
  }

  endSending(descriptor: number, isClosing: boolean): void {
    if (!isClosing) this.#calls.shutdown(descriptor, sendSide)
  }

  /** Nothing is kept of a connection. */
  release(): void {}

  close(descriptor: number): void {
    this.#calls.close(descriptor)
  }

  setOption(descriptor: number, [level, name]: readonly [number, number], value: number): number {
    this.#number[0] = value
    return this.#result(this.#calls.setsockopt(descriptor, level, name, this.#numberOctets, 4))
  }

  setKeepAlive(descriptor: number, isWanted: boolean, idleMs: number): void {
    this.setOption(descriptor, socketOptions.keepAlive, Number(isWanted))
    this.setOption(descriptor, socketOptions.keepIdleSeconds, Math.ceil(idleMs / 1000))
    this.setOption(descriptor, socketOptions.keepIntervalSeconds, keepAliveIntervalSeconds)
    this.setOption(descriptor, socketOptions.keepCount, keepAliveCount)
  }

  /** The error that has befallen the connection, as a negative number, and forgotten with that; or 0. */
  takeError(descriptor: number): number {
    this.#number[0] = 0
    this.#length[0] = 4
    const [level, name] = socketOptions.error
    const { getsockopt } = this.#calls
    getsockopt(descriptor, level, name, this.#numberOctets, this.#lengthOctets)
    return -(this.#number[0] ?? 0)
  }

  /** Writes the octets of an address of `family`. Returns whether it is one. */
  parseHost(family: number, address: string, into: Uint8Array): boolean {
    return this.#calls.inet_pton(family, Buffer.from(`${address}\0`, 'latin1'), into) === 1
  }

  formatHost(family: number, octets: Uint8Array): string {
    const text = Buffer.alloc(addressTextBytes)
    this.#calls.inet_ntop(family, octets, text, addressTextBytes)
    return text.toString('latin1', 0, text.indexOf(0))
  }

  createPoll(): number {
    return this.#result(this.#calls.epollCreate(epollCloseOnExec))
  }

  /** `events`: what of `pollEvents` is told of the descriptor, and how. */
  changePoll(poll: number, change: number, descriptor: number, events: number): number {
    this.#change[0] = events
    this.#change[descriptorWord] = descriptor
    return this.#result(this.#calls.epollControl(poll, change, descriptor, this.#changeOctets))
  }

  /** Returns of how many descriptors there is something to tell, without waiting. */
  poll(poll: number): number {
    return this.#result(this.#calls.epollWait(poll, this.#eventOctets, mostEvents, 0))
  }

  /** Of the last `poll`. */
  eventsAt(index: number): number {
    return this.#events[index * eventWords] ?? 0
  }

  descriptorAt(index: number): number {
    return this.#events[index * eventWords + descriptorWord] ?? -1
  }

  /** Node's loop tells of the descriptor no more; it does not know that. */
  hideFromLoop(descriptor: number): boolean {
    const { loop, uvBackend } = this.#calls
    return this.changePoll(uvBackend(loop), pollChange.remove, descriptor, 0) === 0
  }

  /** Calls back within Node's loop whenever there is something to read; throws where it will not. */
  watchByLoop(descriptor: number, onReadable: () => void): LoopWatch {
    const { library, loop, pointerTo, pollHandleBytes } = this.#calls
    const { uvPollInit, uvPollStart, uvRef, uvUnref } = this.#calls
    const memory = Buffer.allocUnsafeSlow(pollHandleBytes).fill(0)
    const handle = pointerTo(memory)
    const callback = library.registerCallback(
      { arguments: ['uint64', 'int32', 'int32'], return: 'void' },
      onReadable,
    )
    this.#kept.push(memory, onReadable)
    if (uvPollInit(loop, handle, descriptor) !== 0) throw new Error('uv_poll_init')
    if (uvPollStart(handle, readable, callback) !== 0) throw new Error('uv_poll_start')
    uvUnref(handle)
    return { keepAlive: (isWanted) => (isWanted ? uvRef(handle) : uvUnref(handle)) }
  }
}
