/**
 * The OpenSSL that Node has in itself, for servers: by `node:ffi`, without the layers that lie between it and
 * a socket of Node. What of it calls back is left to Node: a call to it must not come back to JavaScript.
 *
 * Pointers are never seen outside of this room. Who gets one frees it, once.
 */
import { constants } from 'node:os'
import type * as ffi from 'node:ffi'
import { mustSendFirst } from './link.ts'
import { errorNumberOf, type ForeignFunctions } from './system-calls.ts'

/** SSL_MODE_AUTO_RETRY: with it one call would go on for as long as records without data come. */
const untiring = 4n
/** SSL_ERROR_… of ssl.h. */
const wants = { read: 2, write: 3 } as const
const [ofKernel, endOfData] = [5, 6] as const
/** Commands of SSL_CTX_ctrl. */
const control = {
  extraChainCertificate: 14,
  mode: 33,
  readAhead: 41,
  clearMode: 78,
  sessionCacheMode: 44,
  ticketKeys: 59,
  groups: 92,
  leastVersion: 123,
} as const
/** SSL_MODE_ENABLE_PARTIAL_WRITE, _ACCEPT_MOVING_WRITE_BUFFER and _RELEASE_BUFFERS. */
const modes = 1n | 2n | 0x10n
/** SSL_OP_IGNORE_UNEXPECTED_EOF, _NO_COMPRESSION, _CIPHER_SERVER_PREFERENCE, _NO_RENEGOTIATION. */
const serverOptions = (1n << 7n) | (1n << 17n) | (1n << 22n) | (1n << 30n)
const versions = { 'TLSv1.2': 0x0303n, 'TLSv1.3': 0x0304n } as const
const { EAGAIN, EINTR, EPROTO } = constants.errno

export interface ServerContextOptions {
  /** PEM texts: the chain, our own certificate first; the key without a password. */
  readonly cert: string
  readonly key: string
  readonly leastVersion: keyof typeof versions
  /** Of TLS 1.3, of TLS 1.2, and the groups: between colons, the best first. */
  readonly suites: string
  readonly ciphers: string
  readonly groups: string
  /** 80 octets. */
  readonly ticketKeys: Buffer
  /** Of the sessions that a ticket is good for: 32 octets at most. */
  readonly sessions: Buffer
  readonly resumableS: number
}

function bind(foreignFunctions: ForeignFunctions) {
  const { DynamicLibrary, toString } = foreignFunctions
  const library = new DynamicLibrary(null)
  const call = <
    const Arguments extends readonly ffi.ArgumentType[],
    const Result extends ffi.ReturnType,
  >(
    name: string,
    parameters: Arguments,
    result: Result,
  ) => library.getFunction(name, { arguments: parameters, return: result })
  return {
    library,
    errorNumber: errorNumberOf(foreignFunctions),
    toString,
    serverMethod: call('TLS_server_method', [], 'uint64'),
    newContext: call('SSL_CTX_new', ['uint64'], 'uint64'),
    freeContext: call('SSL_CTX_free', ['uint64'], 'void'),
    control: call('SSL_CTX_ctrl', ['uint64', 'int32', 'int64', 'uint64'], 'int64'),
    controlText: new DynamicLibrary(null).getFunction('SSL_CTX_ctrl', {
      arguments: ['uint64', 'int32', 'int64', 'buffer'],
      return: 'int64',
    }),
    setOptions: call('SSL_CTX_set_options', ['uint64', 'uint64'], 'uint64'),
    setTimeout: call('SSL_CTX_set_timeout', ['uint64', 'int64'], 'int64'),
    setTickets: call('SSL_CTX_set_num_tickets', ['uint64', 'uint64'], 'int32'),
    setSessions: call('SSL_CTX_set_session_id_context', ['uint64', 'buffer', 'uint32'], 'int32'),
    setCiphers: call('SSL_CTX_set_cipher_list', ['uint64', 'buffer'], 'int32'),
    setSuites: call('SSL_CTX_set_ciphersuites', ['uint64', 'buffer'], 'int32'),
    useCertificate: call('SSL_CTX_use_certificate', ['uint64', 'uint64'], 'int32'),
    useKey: call('SSL_CTX_use_PrivateKey', ['uint64', 'uint64'], 'int32'),
    checkKey: call('SSL_CTX_check_private_key', ['uint64'], 'int32'),
    newBio: call('BIO_new_mem_buf', ['buffer', 'int32'], 'uint64'),
    freeBio: call('BIO_free', ['uint64'], 'int32'),
    readCertificate: call('PEM_read_bio_X509', ['uint64', 'uint64', 'uint64', 'uint64'], 'uint64'),
    readKey: call('PEM_read_bio_PrivateKey', ['uint64', 'uint64', 'uint64', 'uint64'], 'uint64'),
    freeCertificate: call('X509_free', ['uint64'], 'void'),
    freeKey: call('EVP_PKEY_free', ['uint64'], 'void'),
    newSession: call('SSL_new', ['uint64'], 'uint64'),
    freeSession: call('SSL_free', ['uint64'], 'void'),
    setDescriptor: call('SSL_set_fd', ['uint64', 'int32'], 'int32'),
    setAccepting: call('SSL_set_accept_state', ['uint64'], 'void'),
    handshake: call('SSL_do_handshake', ['uint64'], 'int32'),
    read: call('SSL_read', ['uint64', 'buffer', 'int32'], 'int32'),
    peek: call('SSL_peek', ['uint64', 'buffer', 'int32'], 'int32'),
    write: call('SSL_write', ['uint64', 'buffer', 'int32'], 'int32'),
    shutdown: call('SSL_shutdown', ['uint64'], 'int32'),
    getError: call('SSL_get_error', ['uint64', 'int32'], 'int32'),
    clearErrors: call('ERR_clear_error', [], 'void'),
    version: call('SSL_get_version', ['uint64'], 'uint64'),
    cipher: call('SSL_get_current_cipher', ['uint64'], 'uint64'),
    cipherName: call('SSL_CIPHER_standard_name', ['uint64'], 'uint64'),
  }
}

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'latin1')
}

export class OpenSsl {
  readonly #calls: ReturnType<typeof bind>
  readonly #octet = Buffer.alloc(1)
  readonly #texts = new Map<bigint, string>()

  /** Throws where one of its functions is not there. */
  constructor(foreignFunctions: ForeignFunctions) {
    this.#calls = bind(foreignFunctions)
  }

  /** Returns a context, to be freed by `freeContext`. Throws where OpenSSL will not have it so. */
  createServerContext(options: ServerContextOptions): bigint {
    const calls = this.#calls
    const context = calls.newContext(calls.serverMethod())
    if (context === 0n) throw new Error('SSL_CTX_new')
    try {
      this.#configure(context, options)
    } catch (error) {
      calls.freeContext(context)
      throw error
    } finally {
      calls.clearErrors()
    }
    return context
  }

  /** Sessions that were made with it go on. */
  freeContext(context: bigint): void {
    this.#calls.freeContext(context)
  }

  /** A server's session over a connection, which stays its maker's. To be freed by `freeSession`. */
  createSession(context: bigint, descriptor: number): bigint {
    const calls = this.#calls
    const session = calls.newSession(context)
    if (session === 0n) throw new Error('SSL_new')
    if (calls.setDescriptor(session, descriptor) !== 1) {
      calls.freeSession(session)
      throw new Error('SSL_set_fd')
    }
    calls.setAccepting(session)
    return session
  }

  freeSession(session: bigint): void {
    this.#calls.freeSession(session)
  }

  /** Returns 1 when it is done, -EAGAIN where more must come first, -EINTR to be called again, or another number. */
  handshake(session: bigint): number {
    this.#begin()
    const result = this.#calls.handshake(session)
    if (result === 1) return 1
    const failure = this.#failure(session, result) || -EPROTO
    return failure === mustSendFirst ? -EAGAIN : failure
  }

  /** Returns how many octets came, 0 at the end, or a negative error number, as a link does. */
  read(session: bigint, octets: Uint8Array): number {
    this.#begin()
    const count = this.#calls.read(session, octets, octets.length)
    return count > 0 ? count : this.#failure(session, count)
  }

  /** Whether the other side has ended, and all that it has sent was read. */
  isAtEnd(session: bigint): boolean {
    this.#begin()
    const count = this.#calls.peek(session, this.#octet, 1)
    return count <= 0 && this.#failure(session, count) === 0
  }

  /** Returns how many octets were taken, or a negative error number. */
  write(session: bigint, octets: Uint8Array, length: number): number {
    this.#begin()
    const count = this.#calls.write(session, octets, length)
    if (count > 0) return count
    const failure = this.#failure(session, count) || -EPROTO
    // Of what is to be sent, all that can be wanted is room.
    return failure === mustSendFirst || failure === -EINTR ? -EAGAIN : failure
  }

  /** Tells the other side that nothing more will come. */
  shutdown(session: bigint): void {
    this.#calls.clearErrors()
    this.#calls.shutdown(session)
    this.#calls.clearErrors()
  }

  /** Such as `TLSv1.3` and `TLS_AES_128_GCM_SHA256`. */
  describe(session: bigint): { readonly protocol: string; readonly cipher: string } {
    const calls = this.#calls
    const cipher = calls.cipher(session)
    return {
      protocol: this.#textAt(calls.version(session)),
      cipher: cipher === 0n ? '' : this.#textAt(calls.cipherName(cipher)),
    }
  }

  /** A text that OpenSSL has for good. */
  #textAt(pointer: bigint): string {
    let text = this.#texts.get(pointer)
    text ??= this.#calls.toString(pointer) ?? ''
    this.#texts.set(pointer, text)
    return text
  }

  #begin(): void {
    this.#calls.clearErrors()
    this.#calls.errorNumber[0] = 0
  }

  #failure(session: bigint, result: number): number {
    const error = this.#calls.getError(session, result)
    if (error === wants.write) return mustSendFirst
    // Unless it was the kernel that had no more, there may be more.
    const errorNumber = this.#calls.errorNumber[0] ?? 0
    if (error === wants.read) return errorNumber === EAGAIN ? -EAGAIN : -EINTR
    if (error === ofKernel && errorNumber > 0) return -errorNumber
    return error === endOfData ? 0 : -EPROTO
  }

  #configure(context: bigint, options: ServerContextOptions): void {
    const calls = this.#calls
    const set = (command: number, value: bigint): void => {
      calls.control(context, command, value, 0n)
    }
    calls.setOptions(context, serverOptions)
    set(control.mode, modes)
    set(control.clearMode, untiring)
    set(control.readAhead, 1n)
    set(control.sessionCacheMode, 0n)
    set(control.leastVersion, versions[options.leastVersion])
    calls.setTimeout(context, BigInt(options.resumableS))
    calls.setTickets(context, 1n)
    this.#useChain(context, options.cert)
    this.#useKey(context, options.key)
    const { groups, ticketKeys, sessions, ciphers, suites } = options
    const done = [
      calls.setCiphers(context, zeroEnded(ciphers)),
      calls.setSuites(context, zeroEnded(suites)),
      calls.setSessions(context, sessions, sessions.length),
      Number(calls.controlText(context, control.groups, 0n, zeroEnded(groups))),
      Number(calls.controlText(context, control.ticketKeys, BigInt(ticketKeys.length), ticketKeys)),
      calls.checkKey(context),
    ]
    if (done.some((result) => result !== 1)) throw new Error(`SSL_CTX: ${done.join(' ')}`)
  }

  #useChain(context: bigint, chain: string): void {
    const calls = this.#calls
    this.#eachOf(chain, (bio) => {
      let count = 0
      for (;;) {
        const certificate = calls.readCertificate(bio, 0n, 0n, 0n)
        if (certificate === 0n) break
        const isTaken =
          count++ === 0
            ? calls.useCertificate(context, certificate) === 1
            : calls.control(context, control.extraChainCertificate, 0n, certificate) === 1n
        // A certificate of the chain is the context's from now on.
        if (count === 1 || !isTaken) calls.freeCertificate(certificate)
        if (!isTaken) throw new Error('a certificate of the chain')
      }
      if (count === 0) throw new Error('no certificate')
    })
  }

  #useKey(context: bigint, key: string): void {
    const calls = this.#calls
    this.#eachOf(key, (bio) => {
      const read = calls.readKey(bio, 0n, 0n, 0n)
      const isTaken = read !== 0n && calls.useKey(context, read) === 1
      if (read !== 0n) calls.freeKey(read)
      if (!isTaken) throw new Error('the key')
    })
  }

  /** `use` reads the text from a BIO. */
  #eachOf(text: string, use: (bio: bigint) => void): void {
    const octets = Buffer.from(text, 'latin1')
    const bio = this.#calls.newBio(octets, octets.length)
    if (bio === 0n) throw new Error('BIO_new_mem_buf')
    try {
      use(bio)
    } finally {
      this.#calls.freeBio(bio)
      // OpenSSL has read from it until now; and a key is not to stay in memory that others get.
      octets.fill(0)
    }
  }
}
