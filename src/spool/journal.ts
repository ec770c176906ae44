/**
 * What has become of a message, as records behind its content, each framed by a length and a checksum:
 *
 *     +<bytes of the JSON> <CRC-32 of it, 8 hexadecimal digits> <JSON>\n
 *
 * The last record may be torn: then it was never relied on, and the next one takes its place. Anything
 * else that is no record is damage.
 */
import { crc32 } from 'node:zlib'

/** What a back-end said of recipients, or what we know instead. Indexes are those of the envelope. */
export interface Outcome {
  readonly recipients: readonly number[]
  readonly result: 'delivered' | 'failed' | 'deferred' | 'removed'
  readonly backend: string | undefined
  /** SMTP code of the back-end's reply; undefined where it is not a reply that decided. */
  readonly code: number | undefined
  /** Enhanced status code. */
  readonly status: string
  readonly text: string
  /** A success of which whoever has the message now tells the sender, where that was asked for. */
  readonly isToldThere?: true
}

/** A notification of its own that failed, or a sender that nothing can be sent to. */
export type LostReason = 'double_bounce' | 'unreportable'

export type JournalRecord =
  /** An attempt begins. */
  | { readonly do: 'attempt'; readonly at: number }
  | { readonly do: 'outcomes'; readonly at: number; readonly outcomes: readonly Outcome[] }
  /** The attempt has ended; the next one is due at `next`. */
  | { readonly do: 'ended'; readonly at: number; readonly next: number }
  /** The process died during an attempt; `crashed`: by itself, nobody killed it. */
  | { readonly do: 'interrupted'; readonly crashed: boolean }
  /** Whoever had to hear of these outcomes has been written to, or nobody had to. */
  | {
      readonly do: 'reported'
      readonly of: 'failure' | 'success' | 'delay'
      readonly recipients: readonly number[]
      /** Queue id of the notification; undefined where there was none to send. */
      readonly notification: string | undefined
      /** Somebody should have heard of it, and nobody could be told: why. */
      readonly lost?: LostReason
    }
  /** An administrator has taken it out of quarantine. */
  | { readonly do: 'released'; readonly at: number }

export interface ReadJournal {
  readonly records: readonly JournalRecord[]
  /** Where the next record goes: behind the last whole one. */
  readonly goodBytes: number
  /** `torn`: the last record was not written in full. */
  readonly state: 'whole' | 'torn' | 'damaged'
}

const kinds = new Set(['attempt', 'outcomes', 'ended', 'interrupted', 'reported', 'released'])
const frame = /^\+(\d{1,8}) ([0-9a-f]{8}) /
/** `+`, digits, blanks, checksum. */
const longestFrame = 1 + 8 + 1 + 8 + 1

export function formatRecord(record: JournalRecord): Buffer {
  const json = Buffer.from(JSON.stringify(record))
  const sum = crc32(json).toString(16).padStart(8, '0')
  return Buffer.concat([Buffer.from(`+${json.length} ${sum} `), json, Buffer.from('\n')])
}

export function readJournal(bytes: Buffer): ReadJournal {
  const records: JournalRecord[] = []
  let at = 0
  while (at < bytes.length) {
    const found = recordAt(bytes, at)
    if (found === undefined) {
      return { records, goodBytes: at, state: isTorn(bytes.subarray(at)) ? 'torn' : 'damaged' }
    }
    records.push(found.record)
    at = found.end
  }
  return { records, goodBytes: at, state: 'whole' }
}

function recordAt(bytes: Buffer, at: number): { record: JournalRecord; end: number } | undefined {
  const framed = frame.exec(bytes.subarray(at, at + longestFrame).toString('latin1'))
  if (framed === null) return undefined
  const [head, length, sum] = framed
  const from = at + head.length
  const end = from + Number(length)
  if (bytes[end] !== 0x0a) return undefined
  const json = bytes.subarray(from, end)
  if (crc32(json) !== Number.parseInt(sum ?? '', 16)) return undefined
  const record = parseRecord(json.toString('utf8'))
  return record && { record, end: end + 1 }
}

function parseRecord(json: string): JournalRecord | undefined {
  try {
    const value: unknown = JSON.parse(json)
    const isKnown = kinds.has((value as { readonly do?: string } | null)?.do ?? '')
    return isKnown ? (value as JournalRecord) : undefined
  } catch {
    return undefined
  }
}

/** As a write that did not come to its end leaves it: the beginning of a record, or a hole. */
function isTorn(rest: Buffer): boolean {
  if (rest.every((byte) => byte === 0)) return true
  // A line end inside means that more was written after it, which only happens behind a whole record.
  const lineEnd = rest.indexOf(0x0a)
  if (lineEnd !== -1 && lineEnd < rest.length - 1) return false
  const head = rest.subarray(0, longestFrame).toString('latin1').replace(/\0+$/, '')
  return frame.test(head) || /^\+\d{0,8}(?: [0-9a-f]{0,8})?$/.test(head)
}
