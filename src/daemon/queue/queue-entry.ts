/** What the queue keeps in memory of each message: little, since there may be very many. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { JournalRecord } from '../../spool/journal.ts'
import type { MessageFile } from '../../spool/message-file.ts'
import { waitUntilMs } from '../../spool/schedule.ts'
import type { SpoolStore } from '../../spool/spool-store.ts'
import { suspectLane } from './queue-lanes.ts'
import { writeDown } from './queue-telling.ts'

export interface QueueEntry {
  readonly id: string
  readonly bytes: number
  readonly session: string
  /** How old it was, by the clock on the wall, at the monotonic time `loadedAt`. */
  readonly ageAtLoadMs: number
  readonly loadedAt: number
  state: 'waiting' | 'ready' | 'active'
  /** Monotonic. */
  dueAt: number
  crashes: number
  /** Back-ends that it is owed at. */
  backends: readonly string[]
  /** Those that had no slot free at the last attempt: the next one is at them alone. */
  only: readonly string[] | undefined
  /** Those that could not be reached at the last attempt. */
  unreachable: readonly string[]
  /** What could not be written into its journal. */
  unsaved: readonly JournalRecord[]
  /** An administrator wants it gone. */
  isUnwanted: boolean
}

export interface EntrySource {
  readonly store: SpoolStore
  readonly clock: Clock
  readonly log: Log
  /** The process before this one ended by itself during an attempt. */
  readonly hasCrashed: boolean
}

/** Reads a message of the spool. Throws as SpoolStore.open does, and what the disk does. */
export async function readEntry(
  id: string,
  { store, clock, log, hasCrashed }: EntrySource,
): Promise<QueueEntry> {
  const file = await store.open(id)
  try {
    if (file.progress.isInAttempt) {
      // By a fault of its own only where nobody killed the process.
      await writeDown(file, { do: 'interrupted', crashed: hasCrashed }, 'lazy')
      // What a back-end said last may not have been written down.
      const { service, session, peer } = file.head.envelope
      for (const backend of owedAt(file)) log('uncertain', { service, session, peer, backend })
    }
    return entryOf(file, clock)
  } finally {
    await file.close()
  }
}

function entryOf(file: MessageFile, clock: Clock): QueueEntry {
  const { head, progress, contentBytes } = file
  const wall = clock.wall()
  const backends = owedAt(file)
  return {
    id: head.id,
    bytes: contentBytes,
    session: head.envelope.session,
    ageAtLoadMs: Math.max(0, wall - head.arrivedAt),
    loadedAt: clock.now(),
    state: 'waiting',
    dueAt: clock.now() + waitUntilMs(progress.nextAt, wall, progress.attempts),
    crashes: progress.crashes,
    backends,
    only: undefined,
    unreachable: backends,
    unsaved: file.unsaved,
    isUnwanted: false,
  }
}

export function owedAt({ progress }: MessageFile): string[] {
  const owed = progress.recipients.filter(({ result }) => result === 'owed')
  return [...new Set(owed.flatMap(({ backend = [] }) => backend))]
}

/** Of those that found the back-end unreachable, one that is tried now, or the next that is due. */
export function firstFor(backend: string, entries: Iterable<QueueEntry>): QueueEntry | undefined {
  let first: QueueEntry | undefined
  for (const entry of entries) {
    if (!entry.unreachable.includes(backend)) continue
    if (entry.state !== 'waiting') return entry
    if (first === undefined || entry.dueAt < first.dueAt) first = entry
  }
  return first
}

export function laneOf({ crashes, backends }: QueueEntry): string {
  return crashes > 0 ? suspectLane : (backends[0] ?? '')
}
