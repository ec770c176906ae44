/**
 * The stream of a message as SMTP carries it: finds its end, and watches what must not be in it.
 *
 * Octets are passed through as they came, dot-stuffing included: nothing is unstuffed, copied or
 * turned into text. Only CR LF `.` CR LF ends a message (RFC 5321 4.1.1.4). A bare CR or LF or a NUL
 * would let some server behind us see an end where there is none, so it is a fault. In the mode
 * `normalize` a bare LF becomes CR LF instead; since the client did not take what follows it for the
 * start of a line, a dot there is text, and is stuffed.
 *
 * At the end of a chunk the octets that may belong to the end (CR, `.`, `.` CR) are held back and
 * given with the next chunk: what was passed never ends in half a line end or holds the final dot.
 */
import { HeaderWatch } from './header-watch.ts'
import { LowOctets } from './low-octets.ts'

export type MessageFault =
  | 'bare_cr'
  | 'bare_lf'
  | 'nul_in_data'
  | 'message_too_big'
  | 'header_too_big'
  | 'loop'

export interface DotOptions {
  readonly bareNewline: 'reject' | 'normalize'
  /** The most octets between DATA and the final dot. */
  readonly limitBytes: number
  /** What our own `Received:` line says and no other. */
  readonly ownHop?: string
}

/** What one chunk brought. */
export interface DotResult {
  /** What to pass on, in order: parts of the chunk, valid as long as it is. */
  readonly pass: readonly Buffer[]
  /** Where in the chunk the next command begins; undefined while the message goes on. */
  readonly end: number | undefined
  /** Told once. From then on nothing is passed, and only the end is looked for. */
  readonly fault: MessageFault | undefined
}

const lf = 0x0a
const cr = 0x0d
const dot = 0x2e

/** What the last octet was, as far as the framing goes. */
type Place = 'line-start' | 'text' | 'after-cr' | 'after-dot' | 'after-dot-cr'

const held: Readonly<Record<Place, Buffer>> = {
  'line-start': Buffer.alloc(0),
  text: Buffer.alloc(0),
  'after-cr': Buffer.from('\r'),
  'after-dot': Buffer.from('.'),
  'after-dot-cr': Buffer.from('.\r'),
}
const lineEnd = Buffer.from('\r\n')
const stuffing = Buffer.from('.')

interface Scan {
  readonly end: number | undefined
  readonly fault: MessageFault | undefined
  /** Where the scan stopped. */
  readonly at: number
}

export class DotReader {
  /** Octets of the message that were passed so far. */
  bytes = 0
  /** Bare LFs that were mended. */
  bareLf = 0
  /** Octets that were read and thrown away after a fault. */
  drainedBytes = 0
  readonly #options: DotOptions
  readonly #header: HeaderWatch
  #place: Place = 'line-start'
  #isFaulty = false
  /** The line began after a mended LF. */
  #isMendedLine = false

  constructor(options: DotOptions) {
    this.#options = options
    this.#header = new HeaderWatch(options.ownHop ?? '')
  }

  push(chunk: Buffer): DotResult {
    if (this.#isFaulty) return { pass: [], end: this.#drain(chunk, 0), fault: undefined }
    const out = new Passage(chunk, held[this.#place])
    const { end, fault: framing, at } = this.#scan(chunk, out)
    const fault = framing ?? this.#watch(out.parts)
    if (fault === undefined) return { pass: out.parts, end, fault }
    this.#isFaulty = true
    return { pass: [], end: framing === undefined ? end : this.#drain(chunk, at), fault }
  }

  #watch(parts: readonly Buffer[]): MessageFault | undefined {
    for (const part of parts) {
      this.bytes += part.length
      const fault = this.#header.push(part)
      if (fault !== undefined) return fault
    }
    return this.bytes > this.#options.limitBytes ? 'message_too_big' : undefined
  }

  #scan(chunk: Buffer, out: Passage): Scan {
    const low = new LowOctets(chunk)
    for (let at = 0; at < chunk.length; at++) {
      if (this.#place === 'text') {
        at = low.next(at)
        if (at === chunk.length) break
      }
      const octet = chunk[at] as number
      if (octet === lf && this.#place === 'after-dot-cr') {
        out.passTo(at - 2)
        return { end: at + 1, fault: undefined, at }
      }
      const fault = this.#take(octet, at, out)
      if (fault !== undefined) return { end: undefined, fault, at }
    }
    out.passTo(chunk.length - held[this.#place].length)
    return { end: undefined, fault: undefined, at: chunk.length }
  }

  /** One octet of the message; its place is left unchanged by a fault. */
  #take(octet: number, at: number, out: Passage): MessageFault | undefined {
    const place = this.#place
    if (octet === lf && place === 'after-cr') {
      this.#place = 'line-start'
      this.#isMendedLine = false
      return undefined
    }
    if (place === 'after-cr' || place === 'after-dot-cr') return 'bare_cr'
    if (octet === 0) return 'nul_in_data'
    if (octet === lf) return this.#mend(at, out)
    if (octet === cr) this.#place = place === 'after-dot' ? 'after-dot-cr' : 'after-cr'
    else if (octet === dot && place === 'line-start') {
      if (this.#isMendedLine) {
        out.insert(at, stuffing)
        this.#place = 'text'
      } else this.#place = 'after-dot'
    } else this.#place = 'text'
    return undefined
  }

  #mend(at: number, out: Passage): MessageFault | undefined {
    if (this.#options.bareNewline === 'reject') return 'bare_lf'
    // A lone dot before the LF was no end as it came; with CR LF after it, it would become one.
    if (this.#place === 'after-dot') out.insert(at, stuffing)
    out.replace(at, lineEnd)
    this.bareLf++
    this.#isMendedLine = true
    this.#place = 'line-start'
    return undefined
  }

  /** Looks for the end and nothing else: bare CR and LF are text. */
  #drain(chunk: Buffer, start: number): number | undefined {
    let place = this.#place
    for (let at = start; at < chunk.length; at++) {
      const octet = chunk[at]
      if (octet === lf) {
        if (place === 'after-dot-cr') {
          this.drainedBytes += at + 1 - start
          return at + 1
        }
        place = place === 'after-cr' ? 'line-start' : 'text'
      } else if (octet === cr) place = place === 'after-dot' ? 'after-dot-cr' : 'after-cr'
      else place = octet === dot && place === 'line-start' ? 'after-dot' : 'text'
    }
    this.#place = place
    this.drainedBytes += chunk.length - start
    return undefined
  }
}

/** Collects what is passed on of one chunk, beginning with what the one before held back. */
class Passage {
  readonly parts: Buffer[] = []
  readonly #chunk: Buffer
  #before: Buffer
  #from = 0

  constructor(chunk: Buffer, before: Buffer) {
    this.#chunk = chunk
    this.#before = before
  }

  /** Below 0: what is held back began before this chunk, and nothing of it is passed. */
  passTo(index: number): void {
    if (index < 0 || this.#chunk.length === 0) return
    if (this.#before.length > 0) this.parts.push(this.#before)
    this.#before = held.text
    if (index > this.#from) this.parts.push(this.#chunk.subarray(this.#from, index))
    this.#from = index
  }

  insert(at: number, octets: Buffer): void {
    this.passTo(at)
    this.parts.push(octets)
  }

  /** Passes `octets` in place of the one at `at`. */
  replace(at: number, octets: Buffer): void {
    this.insert(at, octets)
    this.#from = at + 1
  }
}
