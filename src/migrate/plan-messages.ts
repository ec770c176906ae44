/** What of a folder differs, and how it is cut into pieces. Pure. */
import { UidSet } from './uid-set.ts'

/** Of one message, as FETCH tells it. */
export interface MessageFacts {
  readonly uid: number
  readonly sizeBytes: number
}

/** Messages that are fetched and stored together; what is in `large` streams, one at a time. */
export interface Batch<Facts extends MessageFacts> {
  readonly uids: UidSet
  readonly large: Facts | undefined
  readonly bytes: number
}

export const batchLimits = {
  messages: 500,
  bytes: 4 * 1024 * 1024,
  /** A message of more than this streams. */
  largeBytes: 1024 * 1024,
} as const

export type BatchLimits = { readonly [Key in keyof typeof batchLimits]: number }

/** What the batches of all mailboxes may take that are read at a time; those being stored take as much. */
const mostBytesAtOnce = 4 * 1024 * 1024
const leastBatchBytes = 512 * 1024

/** Batches for so many pairs of connections at a time. */
export function batchesFor(atOnce: number): BatchLimits {
  const share = Math.max(leastBatchBytes, Math.floor(mostBytesAtOnce / atOnce))
  return { ...batchLimits, bytes: Math.min(batchLimits.bytes, share) }
}

/** Limits under which no more goes together than each of the ends should be asked for at once. */
export function inPieces(
  limits: BatchLimits,
  ...ends: readonly { readonly pieceBytes: number }[]
): BatchLimits {
  return { ...limits, bytes: Math.min(limits.bytes, ...ends.map((end) => end.pieceBytes)) }
}

/** Cuts messages, in the order of their UIDs, into batches that keep that order. */
export function planBatches<Facts extends MessageFacts>(
  messages: readonly Facts[],
  limits: BatchLimits = batchLimits,
): Batch<Facts>[] {
  const batches: Batch<Facts>[] = []
  let uids: number[] = []
  let bytes = 0
  const close = (): void => {
    if (uids.length > 0) batches.push({ uids: UidSet.of(uids), large: undefined, bytes })
    uids = []
    bytes = 0
  }
  for (const message of messages) {
    const { uid, sizeBytes } = message
    const isLarge = sizeBytes > limits.largeBytes
    if (isLarge || uids.length >= limits.messages || bytes + sizeBytes > limits.bytes) close()
    if (isLarge) batches.push({ uids: UidSet.of([uid]), large: message, bytes: sizeBytes })
    else {
      uids.push(uid)
      bytes += sizeBytes
    }
  }
  close()
  return batches
}

/** Flags as they are compared and kept: sorted, without what is no flag of a message. */
export function flagText(flags: Iterable<string>): string {
  return [...new Set(flags)]
    .filter((flag) => flag.toLowerCase() !== '\\recent')
    .map((flag) => systemFlags.get(flag.toLowerCase()) ?? flag)
    .sort()
    .join(' ')
}

/** RFC 9051 section 2.3.2: in whatever case a server writes them. */
const systemFlags = new Map(
  ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'].map((flag) => [
    flag.toLowerCase(),
    flag,
  ]),
)

export function flagsIn(text: string): string[] {
  return text === '' ? [] : text.split(' ')
}

/**
 * What of these flags a folder keeps. `permanent`: its PERMANENTFLAGS, undefined where it does not
 * say; `\*` among them: any keyword. Keywords compare without case (RFC 9051 section 2.3.2).
 */
export function keptFlags(text: string, permanent: ReadonlySet<string> | undefined): string[] {
  if (permanent === undefined) return flagsIn(text)
  const known = new Set([...permanent].map((flag) => flag.toLowerCase()))
  return flagsIn(text).filter(
    (flag) => known.has(flag.toLowerCase()) || (known.has('\\*') && !flag.startsWith('\\')),
  )
}

export interface FlagChange {
  /** At the target. */
  readonly uids: UidSet
  readonly flags: string
}

/** Changes that one command each makes: `changes` by UID at the target. */
export function groupFlagChanges(changes: ReadonlyMap<number, string>): FlagChange[] {
  const byFlags = new Map<string, number[]>()
  for (const [uid, flags] of changes) {
    const uids = byFlags.get(flags)
    if (uids === undefined) byFlags.set(flags, [uid])
    else uids.push(uid)
  }
  return [...byFlags].map(([flags, uids]) => ({
    flags,
    uids: UidSet.of(uids.sort((one, other) => one - other)),
  }))
}
