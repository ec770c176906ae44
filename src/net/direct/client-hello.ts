/** What the first message of a TLS client asks for, before anything is answered. RFC 8446 4.1.2, RFC 6066 3. */

export interface ClientHello {
  /** '' where it names none. */
  readonly serverName: string
  /** It offers names of protocols (RFC 7301). */
  readonly offersProtocols: boolean
}

const handshakeRecord = 22
const clientHello = 1
const recordHeaderBytes = 5
const messageHeaderBytes = 4
/** After the version: 32 octets of random. */
const randomBytes = 32
const serverNameExtension = 0
const protocolsExtension = 16
const hostNameType = 0
/** Nothing that would end a name before its end. */
const namely = /^[!-~]{0,255}$/
/** RFC 8446 5.1. */
const mostRecordBytes = 16_384

/** Reads numbers and vectors; `isTorn` once there was less than a length has said. */
class Cursor {
  isTorn = false
  readonly #octets: Buffer
  #at = 0

  constructor(octets: Buffer) {
    this.#octets = octets
  }

  get isAtEnd(): boolean {
    return this.isTorn || this.#at >= this.#octets.length
  }

  number(bytes: 1 | 2): number {
    const at = this.#at
    if (!this.#take(bytes)) return 0
    return bytes === 1 ? (this.#octets[at] ?? 0) : this.#octets.readUInt16BE(at)
  }

  skip(bytes: number): void {
    this.#take(bytes)
  }

  /** What is behind a length of so many octets. */
  vector(lengthBytes: 1 | 2): Buffer {
    const length = this.number(lengthBytes)
    const at = this.#at
    return this.#take(length) ? this.#octets.subarray(at, at + length) : Buffer.alloc(0)
  }

  #take(bytes: number): boolean {
    this.isTorn ||= this.#at + bytes > this.#octets.length
    if (!this.isTorn) this.#at += bytes
    return !this.isTorn
  }
}

/**
 * `octets`: what has come so far. `incomplete`: more is to come. `other`: nothing that is understood here,
 * which need not be wrong: such as a message in several records.
 */
export function readClientHello(octets: Buffer): ClientHello | 'incomplete' | 'other' {
  const [type, major] = octets
  if (type !== undefined && type !== handshakeRecord) return 'other'
  if (major !== undefined && major !== 3) return 'other'
  if (octets.length < recordHeaderBytes) return 'incomplete'
  const length = octets.readUInt16BE(3)
  if (length > mostRecordBytes || length < messageHeaderBytes) return 'other'
  if (octets.length < recordHeaderBytes + length) return 'incomplete'
  const record = octets.subarray(recordHeaderBytes, recordHeaderBytes + length)
  const isWhole = record.readUIntBE(1, 3) === length - messageHeaderBytes
  if (record[0] !== clientHello || !isWhole) return 'other'
  return readMessage(record.subarray(messageHeaderBytes))
}

function readMessage(message: Buffer): ClientHello | 'other' {
  const cursor = new Cursor(message)
  cursor.skip(2 + randomBytes)
  cursor.vector(1)
  cursor.vector(2)
  cursor.vector(1)
  const extensions = new Cursor(cursor.isAtEnd ? Buffer.alloc(0) : cursor.vector(2))
  let [serverName, offersProtocols] = ['', false]
  while (!extensions.isAtEnd) {
    const type = extensions.number(2)
    const content = extensions.vector(2)
    if (type === protocolsExtension) offersProtocols = true
    if (type === serverNameExtension) serverName = firstHostName(content)
  }
  if (cursor.isTorn || extensions.isTorn || !namely.test(serverName)) return 'other'
  return { serverName, offersProtocols }
}

function firstHostName(content: Buffer): string {
  const names = new Cursor(new Cursor(content).vector(2))
  while (!names.isAtEnd) {
    const type = names.number(1)
    const name = names.vector(2)
    if (type === hostNameType) return name.toString('latin1')
  }
  return ''
}
