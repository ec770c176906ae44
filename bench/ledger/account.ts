/**
 * The ledger is balanced: what senders were promised against what back-ends have, and every copy too
 * many against somebody who said that there might be one.
 *
 * A copy too many has one of three causes. The sender heard 4xx and a back-end has the message all the
 * same: the relay has said `uncertain`. The sender heard nothing, since a process of ours was killed or
 * it left: only the sender can know of it. Or the queue has delivered what was there already: it has
 * said `uncertain`, or the relay, which has kept the message for a back-end whose verdict never came.
 */
import { readFileSync } from 'node:fs'
import { domain, notified, type Target, targetsOf, unwanted } from './cast.ts'
import type { Kill } from './faults.ts'
import type { Task } from './sender.ts'
import type { RecordingBackend } from './site.ts'

/** Lines of the log that a process has not written yet when it is killed. */
const unwrittenMs = 150

interface Copy {
  readonly attempt: number
  readonly local: string
  readonly backend: string
}

/** What is at the back-ends, by message. */
interface Stored {
  readonly copies: ReadonlyMap<number, readonly Copy[]>
  /** Messages whose sender was told of a failure. */
  readonly notices: ReadonlySet<number>
}

export interface Uncertain {
  readonly relay: number
  readonly queue: number
}

export interface Balance {
  readonly promises: number
  readonly copies: number
  /** Each a line for a person. */
  readonly losses: readonly string[]
  readonly strays: readonly string[]
  /** Copies too many, by cause: one for each message, back-end and attempt. */
  readonly refusedCopies: number
  readonly unheardCopies: number
  readonly repeatedCopies: number
  /** Refused copies whose process was killed before its log was written out. */
  readonly unlogged: number
  readonly uncertain: Uncertain
}

export function isBalanced(balance: Balance): boolean {
  const { losses, strays, refusedCopies, repeatedCopies, unlogged, uncertain } = balance
  return (
    losses.length === 0 &&
    strays.length === 0 &&
    refusedCopies <= uncertain.relay + unlogged &&
    refusedCopies + repeatedCopies <= uncertain.relay + unlogged + uncertain.queue
  )
}

export function balance(
  tasks: readonly Task[],
  backends: readonly RecordingBackend[],
  { uncertain, kills }: { readonly uncertain: Uncertain; readonly kills: readonly Kill[] },
): Balance {
  const stored = readRecords(backends)
  const sums = { promises: 0, refusedCopies: 0, unheardCopies: 0, repeatedCopies: 0, unlogged: 0 }
  const losses: string[] = []
  let copies = 0
  for (const task of tasks) {
    const own = stored.copies.get(task.message.number) ?? []
    copies += own.length
    losses.push(...lossesOf(task, own, stored.notices))
    sums.promises += task.attempts.flatMap(({ taken }) => taken).flatMap(targetsOf).length
    sums.repeatedCopies += repeatedIn(own)
    for (const [number, attempt] of task.attempts.entries()) {
      if (attempt.taken.length > 0) continue
      const places = new Set(own.filter((one) => one.attempt === number).map((one) => one.backend))
      if (attempt.end === 'unheard') sums.unheardCopies += places.size
      else {
        sums.refusedCopies += places.size
        if (isJustBefore(attempt.at, kills)) sums.unlogged += places.size
      }
    }
  }
  return { ...sums, copies, losses, strays: straysIn(stored, tasks), uncertain }
}

function readRecords(backends: readonly RecordingBackend[]): Stored {
  const copies = new Map<number, Copy[]>()
  const notices = new Set<number>()
  for (const { file, role } of backends) {
    for (const line of readFileSync(file, 'latin1').split('\n')) {
      const [kind, number, attempt, local = ''] = line.split(' ')
      if (kind === 'notice') notices.add(Number(number))
      if (kind !== 'mail') continue
      const found = copies.get(Number(number)) ?? []
      copies.set(Number(number), found)
      found.push({ attempt: Number(attempt), local, backend: role.name })
    }
  }
  return { copies, notices }
}

/** Whoever was promised a message and does not have it. */
function lossesOf(
  { message, attempts }: Task,
  own: readonly Copy[],
  notices: ReadonlySet<number>,
): string[] {
  const isThere = ({ local, backend }: Target): boolean => {
    // Of what its back-end refuses, the sender is told.
    if (local === unwanted) return notices.has(message.number)
    return own.some((copy) => copy.local === local && copy.backend === backend)
  }
  return attempts.flatMap(({ taken }, number) =>
    taken
      .flatMap(targetsOf)
      .filter((target) => !isThere(target))
      .map(({ local, backend }) => `${message.number}.${number} ${local}@${domain} at ${backend}`),
  )
}

/** Copies of one attempt for one address, beyond the first; by back-end. */
function repeatedIn(own: readonly Copy[]): number {
  const counts = new Map<string, number>()
  for (const { attempt, local, backend } of own) {
    const key = `${attempt} ${backend} ${local}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const worst = new Map<string, number>()
  for (const [key, count] of counts) {
    const place = key.slice(0, key.lastIndexOf(' '))
    worst.set(place, Math.max(worst.get(place) ?? 0, count - 1))
  }
  return [...worst.values()].reduce((sum, count) => sum + count, 0)
}

function isJustBefore(at: number, kills: readonly Kill[]): boolean {
  return kills.some(
    (kill) =>
      (kill.victim === 'worker' || kill.victim === 'daemon') &&
      at > kill.at - unwrittenMs &&
      at < kill.at + unwrittenMs,
  )
}

/** What is where nobody sent it. */
function straysIn({ copies, notices }: Stored, tasks: readonly Task[]): string[] {
  const known = new Map(tasks.map(({ message }) => [message.number, message]))
  const strays: string[] = []
  for (const [number, own] of copies) {
    const wanted = new Set(
      (known.get(number)?.recipients ?? [])
        .flatMap(targetsOf)
        .map(({ local, backend }) => `${local} ${backend}`),
    )
    for (const { local, backend } of own) {
      if (!wanted.has(`${local} ${backend}`)) strays.push(`${number} ${local} at ${backend}`)
    }
  }
  for (const number of notices) {
    const isExpected = known.get(number)?.sender.startsWith(notified) === true
    if (!isExpected) strays.push(`a notification of ${number}`)
  }
  return strays
}
