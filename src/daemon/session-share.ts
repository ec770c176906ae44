/**
 * How many sessions one worker may have: its share of what the config allows, and never more than
 * its file descriptors carry: at that limit the kernel's and Node's answer would be a silent close.
 */
import { availableParallelism } from 'node:os'
import { limits } from '../base/limit.ts'
import type { Config } from '../config/config.ts'
import { realDisk } from '../storage/disk.ts'

/** Client and back-end. */
const descriptorsPerSession = 2

/** How many worker processes there are to be. */
export function workersOf({ workers }: Pick<Config, 'workers'>): number {
  return workers === 'auto' ? availableParallelism() : workers
}

export async function sessionsPerWorker(sessions: number, workers: number): Promise<number> {
  return shareOf(sessions, workers, await openFileLimit())
}

/** `openFiles`: the limit of each process. */
export function shareOf(sessions: number, workers: number, openFiles: number): number {
  const carried = Math.floor((openFiles - limits.reservedDescriptors) / descriptorsPerSession)
  return Math.max(1, Math.min(Math.ceil(sessions / workers), carried))
}

/** Node raises the soft limit to the hard one at its start. */
export async function openFileLimit(): Promise<number> {
  try {
    const text = (await realDisk.read('/proc/self/limits')).toString('latin1')
    return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY)
  } catch {
    // Not Linux: the config's number stands alone.
    return Number.POSITIVE_INFINITY
  }
}
