/** Octets that go together: small ones from one buffer that is used again and again. */

/** What is written at a time, and more where one piece is larger. */
const writeBytes = 262_144

export class GatheredWrites {
  readonly #send: (bytes: Buffer) => Promise<void>
  /** Memory that is new each time costs more than what is sent in it. */
  #unsent = Buffer.alloc(0)
  #unsentBytes = 0

  /** `send` resolves when the memory of what it was given is free again. */
  constructor(send: (bytes: Buffer) => Promise<void>) {
    this.#send = send
  }

  /** Octets as latin1. Throws what `send` throws. */
  async putText(text: string): Promise<void> {
    if (!this.#hasRoom(text.length)) await this.flush()
    if (this.#hasRoom(text.length)) {
      this.#unsentBytes += this.#unsent.write(text, this.#unsentBytes, 'latin1')
    } else await this.#send(Buffer.from(text, 'latin1'))
  }

  /** Small pieces go together, large ones as they are. Throws what `send` throws. */
  async put(bytes: Buffer): Promise<void> {
    if (!this.#hasRoom(bytes.length)) await this.flush()
    if (this.#hasRoom(bytes.length)) {
      this.#unsentBytes += bytes.copy(this.#unsent, this.#unsentBytes)
    } else await this.#send(bytes)
  }

  /** Throws what `send` throws. */
  async flush(): Promise<void> {
    const bytes = this.#unsent.subarray(0, this.#unsentBytes)
    this.#unsentBytes = 0
    if (bytes.length > 0) await this.#send(bytes)
  }

  #hasRoom(bytes: number): boolean {
    if (this.#unsent.length === 0) this.#unsent = Buffer.allocUnsafeSlow(writeBytes)
    return this.#unsentBytes + bytes <= writeBytes
  }
}
