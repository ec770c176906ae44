/** Whether a process of another time is still there. */
import { readFileSync } from 'node:fs'

/** True while a process of that number is there, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // It is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const withoutName = '0'
let knownBoot: string | undefined

/**
 * A short name of this run of the system, without dots: numbers of processes begin anew with each, so
 * that one of another run says nothing. The same always where the system has no such name.
 */
export function bootName(): string {
  knownBoot ??= readBootName()
  return knownBoot
}

function readBootName(): string {
  try {
    return (
      /^[0-9a-f]{8}/.exec(readFileSync('/proc/sys/kernel/random/boot_id', 'latin1'))?.[0] ??
      withoutName
    )
  } catch {
    return withoutName
  }
}
