/**
 * The life of the process that moves a user, which a test ends at any moment without ending itself:
 * from then on nothing that it writes becomes durable, neither in the state database nor in a source
 * of the map. A write may be the last one, or be the first that is not made.
 */
import { DatabaseSync } from 'node:sqlite'
import { realDisk } from '../../src/storage/disk.ts'

/** The process is gone. */
export class Killed extends Error {}

export interface Life {
  readonly isOver: boolean
  /** Throws where it fails. */
  beforeWrite(): void
  afterWrite(): void
}

let life: Life | undefined

/** Of whoever writes from now on; undefined: nothing happens to them. */
export function live(other: Life | undefined): void {
  life = other
}

const exec = Reflect.get(DatabaseSync.prototype, 'exec')

DatabaseSync.prototype.exec = function (sql: string): void {
  const isWrite = sql === 'COMMIT'
  if (life !== undefined && (isWrite || sql === 'BEGIN IMMEDIATE')) refuseDead(life)
  if (isWrite) life?.beforeWrite()
  exec.call(this, sql)
  if (isWrite) life?.afterWrite()
}

function refuseDead({ isOver }: Life): void {
  if (isOver) throw new Killed()
}

const writes = ['create', 'openToUpdate', 'rename', 'link', 'unlink'] as const

for (const name of writes) {
  const work = realDisk[name] as (...args: readonly unknown[]) => Promise<unknown>
  const mortal = async (...args: readonly unknown[]): Promise<unknown> => {
    if (life !== undefined) refuseDead(life)
    life?.beforeWrite()
    const result = await work.apply(realDisk, [...args])
    try {
      life?.afterWrite()
      return result
    } catch (error) {
      await (result as { close?: () => Promise<void> } | undefined)?.close?.()
      throw error
    }
  }
  Object.assign(realDisk, { [name]: mortal })
}
