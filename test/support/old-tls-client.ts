/**
 * A client of TLS 1.2 that asks for a new handshake within its session as often as it is told to: no
 * library sends a second ClientHello while the first is not answered. Once it is connected it writes
 * the records itself (RFC 5246 section 6, RFC 5288), with keys of the secret that Node tells.
 */
import { createCipheriv, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectRaw, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect } from 'node:tls'

const handshake = 22
const applicationData = 23
const suite = 'ECDHE-ECDSA-AES128-GCM-SHA256'
const headerBytes = 5

/** RFC 5246 section 5, with SHA-256. */
function expand(secret: Buffer, seed: Buffer, bytes: number): Buffer {
  const mac = (text: Buffer): Buffer => createHmac('sha256', secret).update(text).digest()
  let [chain, output] = [seed, Buffer.alloc(0)]
  while (output.length < bytes) {
    chain = mac(chain)
    output = Buffer.concat([output, mac(Buffer.concat([chain, seed]))])
  }
  return output.subarray(0, bytes)
}

/** RFC 5246 section 7.4.1.2; of extensions the one that speaks of renegotiation (RFC 5746). */
const clientHello = Buffer.concat([
  Buffer.from([1, 0, 0, 48, 3, 3]),
  Buffer.alloc(32, 0x72),
  Buffer.from([0, 0, 2, 0xc0, 0x2b, 1, 0, 0, 5, 0xff, 0x01, 0, 1, 0]),
])

export class OldTlsClient implements Disposable {
  /** Types of the records that came since the greeting. */
  readonly heard: number[] = []
  closed = false
  readonly #socket: Socket
  #key: Buffer = Buffer.alloc(0)
  #salt: Buffer = Buffer.alloc(0)
  /** The first encrypted record was the end of the handshake. */
  #sequence = 1
  #pending: Buffer = Buffer.alloc(0)
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async connect(port: number, ca: string, servername: string): Promise<OldTlsClient> {
    const socket = connectRaw({ port, host: '127.0.0.1', noDelay: true })
    const client = new OldTlsClient(socket)
    socket.on('error', () => undefined)
    let [came, isConnected] = [Buffer.alloc(0), false]
    const between = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, () => done()),
    })
    socket.on('data', (chunk: Buffer) => {
      if (isConnected) return client.#take(chunk)
      came = Buffer.concat([came, chunk])
      between.push(chunk)
    })
    socket.on('close', () => client.#ended())
    const version = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: suite } as const
    const secured = connect({ socket: between, ca, servername, ...version })
    const told = once(secured, 'keylog') as Promise<[Buffer]>
    // The server speaks first.
    await once(secured, 'data')
    isConnected = true
    const [, random = '', secret = ''] = String((await told)[0])
      .trim()
      .split(' ')
    // The first record is the server's hello: header, type and length, version, random.
    const serverRandom = came.subarray(headerBytes + 6, headerBytes + 38)
    const seed = Buffer.concat([
      Buffer.from('key expansion'),
      serverRandom,
      Buffer.from(random, 'hex'),
    ])
    const keys = expand(Buffer.from(secret, 'hex'), seed, 40)
    client.#key = keys.subarray(0, 16)
    client.#salt = keys.subarray(32, 36)
    return client
  }

  /** So many of them in one segment. */
  askAnew(times: number): void {
    const records = Array.from({ length: times }, () => this.#record(handshake, clientHello))
    this.#socket.write(Buffer.concat(records))
  }

  say(text: string): void {
    this.#socket.write(this.#record(applicationData, Buffer.from(text)))
  }

  /** Waits until so much was said in the session, or its end; whether it goes on. */
  async hears(times: number): Promise<boolean> {
    const isTold = (): boolean =>
      this.heard.filter((type) => type === applicationData).length >= times
    while (!this.closed && !isTold()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return !this.closed
  }

  #record(type: number, content: Buffer): Buffer {
    const sequence = Buffer.alloc(8)
    sequence.writeUInt32BE(this.#sequence++, 4)
    const cipher = createCipheriv('aes-128-gcm', this.#key, Buffer.concat([this.#salt, sequence]))
    const length = Buffer.from([content.length >> 8, content.length & 255])
    cipher.setAAD(Buffer.concat([sequence, Buffer.from([type, 3, 3]), length]))
    const sealed = Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()])
    const bytes = sequence.length + sealed.length
    const header = Buffer.from([type, 3, 3, bytes >> 8, bytes & 255])
    return Buffer.concat([header, sequence, sealed])
  }

  #take(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= headerBytes) {
      const end = headerBytes + this.#pending.readUInt16BE(3)
      if (this.#pending.length < end) break
      this.heard.push(this.#pending[0] ?? 0)
      this.#pending = this.#pending.subarray(end)
    }
    this.#wake()
  }

  #ended(): void {
    this.closed = true
    this.#wake()
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
