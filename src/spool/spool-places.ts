/** The names in a spool, and what a name says of a file. */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { bootName } from '../storage/process-alive.ts'

export interface SpoolPlaces {
  readonly directory: string
  /** What cannot be used is kept here, for a person to look at. */
  readonly quarantine: string
  /** Held by the one process that delivers from the spool. */
  readonly lock: string
}

export function spoolPlaces(stateDir: string): SpoolPlaces {
  const directory = join(stateDir, 'spool')
  return {
    directory,
    quarantine: join(directory, 'quarantine'),
    lock: join(directory, 'lock'),
  }
}

const base = 36
const timeDigits = 9
const randomDigits = 8
const idPattern = /^[0-9a-z]{17}(?:-\d{1,4})?$/
const messageName = /^([0-9a-z]{17}(?:-\d{1,4})?)\.msg$/
const temporaryName = /^tmp\.([0-9a-f]+)\.(\d+)\.[0-9a-z-]+$/
const ownNames = new Set(['quarantine', 'lock', 'lock-journal'])

/** Names sort by the time they were made. */
export function newId(wallMs: number): string {
  const time = Math.floor(wallMs).toString(base).padStart(timeDigits, '0').slice(-timeDigits)
  let random = ''
  for (let digit = 0; digit < randomDigits; digit++) random += randomInt(base).toString(base)
  return time + random
}

/** The id of the notification with that number that a message has caused. */
export function notificationId(id: string, number: number): string {
  return `${id.replace(/-\d+$/, '').slice(0, timeDigits + randomDigits)}-${number}`
}

export function isId(text: string): boolean {
  return idPattern.test(text)
}

export function messagePath({ directory }: SpoolPlaces, id: string): string {
  return join(directory, `${id}.msg`)
}

export function temporaryPath({ directory }: SpoolPlaces, id: string): string {
  return join(directory, `tmp.${bootName()}.${process.pid}.${id}`)
}

export type NameMeaning =
  | { readonly kind: 'message'; readonly id: string }
  | { readonly kind: 'temporary'; readonly boot: string; readonly pid: number }
  | { readonly kind: 'own' }
  | { readonly kind: 'odd' }

export function meaningOf(name: string): NameMeaning {
  const id = messageName.exec(name)?.[1]
  if (id !== undefined) return { kind: 'message', id }
  const [, boot, pid] = temporaryName.exec(name) ?? []
  if (boot !== undefined) return { kind: 'temporary', boot, pid: Number(pid) }
  return ownNames.has(name) ? { kind: 'own' } : { kind: 'odd' }
}
