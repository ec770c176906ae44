/**
 * A lock that belongs to a process and goes with it, however it ends: the kernel's file lock, which
 * Node reaches through SQLite. The file itself stays, empty; its being there means nothing.
 */
import { readFileSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { ownAsDirectory } from './own-as-directory.ts'

const commandChars = 120

/** Takes the lock at `path`; undefined where another holder has it. Throws where the file cannot be made. */
export function takeLock(path: string): Disposable | undefined {
  const umask = process.umask(0o177)
  let database: DatabaseSync
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    ownAsDirectory(path)
  } finally {
    process.umask(umask)
  }
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
  return { [Symbol.dispose]: () => database.close() }
}

/** Who holds the lock, as ` (process 123: mailmux build-map)`; empty where the system does not tell. */
export function describeHolder(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    // proc(5), /proc/locks: `1: POSIX ADVISORY WRITE 123 fe:00:4711 0 EOF`, the device in hexadecimal.
    const [major, minor] = [(dev >> 8n) & 0xfffn, (dev & 0xffn) | ((dev >> 12n) & 0xfff00n)]
    const file = ` ${twoDigits(major)}:${twoDigits(minor)}:${ino} `
    const line = readFileSync('/proc/locks', 'latin1')
      .split('\n')
      .find((one) => one.includes(file))
    const pid = Number(line?.trim().split(/\s+/)[4])
    if (!(pid > 0)) return ''
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
    return ` (process ${pid}: ${words.slice(0, commandChars)})`
  } catch {
    // No such file system, or the holder is gone: it is said without a name.
    return ''
  }
}

function twoDigits(part: bigint): string {
  return part.toString(16).padStart(2, '0')
}

/** SQLITE_BUSY; https://www.sqlite.org/rescode.html#busy */
function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === 5
}
