/**
 * Watches the header section of a message as it passes: how long it is, and how often the message
 * has been received already, by anybody and by us (RFC 5321 6.3). Needs no line in memory, whatever is
 * cut where.
 */
import { limits } from '../../base/limit.ts'

const lf = 0x0a
const cr = 0x0d
const colon = 0x3a
const received = Buffer.from('received')
/** Which octet of the line comes next; beyond the name only its end matters. */
const nameRead = received.length
const otherLine = -1

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09
}

export class HeaderWatch {
  #inHeader = true
  #bytes = 0
  #received = 0
  /** Octets of `received` that the line has matched so far, or `otherLine`. */
  #matched = 0
  /** Nothing but CR stands in the line yet. */
  #lineEmpty = true
  readonly #ownHop: Buffer
  /** Octets of `ownHop` that came last. */
  #ownMatched = 0
  #ownHops = 0

  /** `ownHop`: words of our own line that no other host writes; '' where there are none. */
  constructor(ownHop: string) {
    this.#ownHop = Buffer.from(ownHop)
  }

  /** The first fault, once. Octets after the header section cost nothing. */
  push(part: Buffer): 'header_too_big' | 'loop' | undefined {
    if (!this.#inHeader) return undefined
    for (let at = 0; at < part.length; at++) {
      const octet = part[at] as number
      this.#bytes++
      if (octet === lf) {
        if (this.#lineEmpty) {
          this.#inHeader = false
          return this.#bytes > limits.headerBytes ? 'header_too_big' : undefined
        }
        this.#lineEmpty = true
        this.#matched = 0
      } else if (octet !== cr) {
        this.#lineEmpty = false
        if (this.#matched !== otherLine && this.#endsName(octet)) {
          this.#received++
          if (this.#received >= limits.receivedHeaders) return 'loop'
        }
        if (this.#endsOwnHop(octet) && ++this.#ownHops >= limits.ownHops) return 'loop'
      }
      if (this.#bytes > limits.headerBytes) return 'header_too_big'
    }
    return undefined
  }

  /** True for the last octet of our own words, which hardly ever begin anew inside themselves. */
  #endsOwnHop(octet: number): boolean {
    if (octet === this.#ownHop[this.#ownMatched]) this.#ownMatched++
    else this.#ownMatched = octet === this.#ownHop[0] ? 1 : 0
    if (this.#ownMatched === 0 || this.#ownMatched < this.#ownHop.length) return false
    this.#ownMatched = 0
    return true
  }

  /** True for the colon after a field name `received`, in any case, with blanks before it. */
  #endsName(octet: number): boolean {
    if (this.#matched < nameRead && (octet | 0x20) === received[this.#matched]) {
      this.#matched++
      return false
    }
    const isName = this.#matched === nameRead
    if (isName && isBlank(octet)) return false
    this.#matched = otherLine
    return isName && octet === colon
  }
}
