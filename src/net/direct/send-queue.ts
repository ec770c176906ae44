/** What a connection was given to send: goes to the kernel at once, and waits here where that takes no more. */
import { closedError } from './socket-events.ts'
import type { Link } from './link.ts'
import { wouldBlock } from './system-calls.ts'

/** Told when all is on its way, or when it never will be. Later, not within the call that gave it. */
export type Written = (error?: Error | null) => void

interface Unsent {
  readonly octets: Uint8Array
  readonly written: Written | undefined
}

const scratchBytes = 65_536
/** In characters: each may become three octets. */
const longestText = Math.floor(scratchBytes / 3)
/** Text on its way to the kernel. */
const scratch = Buffer.allocUnsafeSlow(scratchBytes)

export class SendQueue {
  /** Octets that wait. */
  length = 0
  /** The kernel takes no more. Whoever hears that it does says so here. */
  isBlocked = false
  /** What is added waits for a `flush`. */
  isCorked = false
  readonly #link: Link
  #unsent: Unsent[] = []

  constructor(link: Link) {
    this.#link = link
  }

  /** Something waits that the kernel may take now. */
  get isReady(): boolean {
    return this.#unsent.length > 0 && !this.isBlocked
  }

  get #mustWait(): boolean {
    return this.#unsent.length > 0 || this.isCorked
  }

  /** The octets must stay as they are until they are sent. Returns 0 or a negative error number. */
  addOctets(descriptor: number, octets: Uint8Array, written?: Written): number {
    if (this.#mustWait) return this.#keep(octets, written)
    const count = this.#send(descriptor, octets, octets.length)
    return count < octets.length ? this.#keepRest(count, octets, written) : tell(written)
  }

  /** The octets may change afterwards. Returns 0 or a negative error number. */
  addLent(descriptor: number, octets: Uint8Array, length: number): number {
    const count = this.#mustWait ? 0 : this.#send(descriptor, octets, length)
    if (count === length) return 0
    return this.#keepRest(count, octets.subarray(0, length), undefined, true)
  }

  /** Returns 0 or a negative error number. */
  addText(descriptor: number, text: string, encoding: 'latin1' | 'utf8'): number {
    if (text.length > longestText) return this.addOctets(descriptor, Buffer.from(text, encoding))
    if (this.#mustWait) return this.#keep(Buffer.from(text, encoding), undefined)
    return this.addLent(descriptor, scratch, scratch.write(text, encoding))
  }

  /** Sends what waits, as far as the kernel takes it. Returns 0 or a negative error number. */
  flush(descriptor: number): number {
    if (this.isCorked) return 0
    if (this.#unsent.length > 1 && this.length <= scratchBytes) this.#gather()
    for (let [first] = this.#unsent; first !== undefined; [first] = this.#unsent) {
      const { octets, written } = first
      const count = octets.length === 0 ? 0 : this.#send(descriptor, octets, octets.length)
      if (count < 0) return count
      this.length -= count
      if (count < octets.length) {
        this.#unsent[0] = { octets: octets.subarray(count), written }
        return 0
      }
      this.#unsent.shift()
      tell(written)
    }
    return 0
  }

  /** Nothing of it will be sent. */
  abandon(error: Error | undefined): void {
    for (const { written } of this.#unsent) tell(written, error ?? closedError())
    this.#unsent = []
    this.length = 0
  }

  /** What is short goes in one piece. */
  #gather(): void {
    const octets = Buffer.concat(this.#unsent.map((piece) => piece.octets))
    const waiting = this.#unsent.flatMap(({ written }) => written ?? [])
    const written: Written = (error) => {
      for (const one of waiting) one(error)
    }
    this.#unsent = [{ octets, written: waiting.length === 0 ? undefined : written }]
  }

  /** Returns how much is sent, or a negative error number. */
  #send(descriptor: number, octets: Uint8Array, length: number): number {
    if (length === 0) return 0
    for (let sent = 0; ; ) {
      const rest = sent === 0 ? octets : octets.subarray(sent, length)
      const count = this.#link.send(descriptor, rest, length - sent)
      if (count === wouldBlock) this.isBlocked = true
      if (count < 0) return count === wouldBlock ? sent : count
      // A record of TLS is taken at a time; of plain octets, as many as there is room for.
      sent += count
      if (sent === length) return length
    }
  }

  #keepRest(
    count: number,
    octets: Uint8Array,
    written: Written | undefined,
    isLent = false,
  ): number {
    if (count < 0) return count
    const rest = octets.subarray(count)
    return this.#keep(isLent ? Buffer.from(rest) : rest, written)
  }

  #keep(octets: Uint8Array, written: Written | undefined): number {
    this.#unsent.push({ octets, written })
    this.length += octets.length
    return 0
  }
}

function tell(written: Written | undefined, error?: Error): number {
  if (written !== undefined) process.nextTick(written, error)
  return 0
}
