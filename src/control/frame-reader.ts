/** Bytes → lines of text, bounded, however the bytes were cut. Blank lines are skipped. */
export type FrameEvent =
  | { readonly kind: 'frame'; readonly text: string }
  | { readonly kind: 'too-long' }

export class FrameReader {
  #parts: Buffer[] = []
  #length = 0
  #refused = false
  readonly #limitBytes: number

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** After `too-long` nothing more is read: the caller closes. */
  push(chunk: Buffer): FrameEvent[] {
    const events: FrameEvent[] = []
    let rest = chunk
    for (let end = rest.indexOf(0x0a); end !== -1 && !this.#refused; end = rest.indexOf(0x0a)) {
      this.#keep(rest.subarray(0, end), events)
      if (!this.#refused) this.#finish(events)
      rest = rest.subarray(end + 1)
    }
    if (!this.#refused) this.#keep(rest, events)
    return events
  }

  #keep(bytes: Buffer, events: FrameEvent[]): void {
    this.#length += bytes.length
    if (this.#length > this.#limitBytes) {
      this.#refused = true
      this.#parts = []
      events.push({ kind: 'too-long' })
    } else if (bytes.length > 0) {
      this.#parts.push(bytes)
    }
  }

  #finish(events: FrameEvent[]): void {
    const text = Buffer.concat(this.#parts).toString('utf8').trim()
    this.#parts = []
    this.#length = 0
    if (text !== '') events.push({ kind: 'frame', text })
  }
}
