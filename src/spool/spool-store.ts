/**
 * The spool as the one process sees it that delivers from it: what is there, opened one by one, and
 * leaving: by removal when all is done, or into quarantine. Nothing that cannot be read is deleted.
 */
import { join } from 'node:path'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Disk } from '../storage/disk.ts'
import { describeHolder, takeLock } from '../storage/lock.ts'
import { bootName, isAlive } from '../storage/process-alive.ts'
import { DirectorySync } from './directory-sync.ts'
import { makeSpool } from './file-spool-writer.ts'
import { MessageFile, UnusableFile } from './message-file.ts'
import { codeOf } from './spool-fault.ts'
import { meaningOf, messagePath, type SpoolPlaces } from './spool-places.ts'

export interface SpoolContents {
  readonly ids: readonly string[]
  /** Names that mean nothing here. */
  readonly odd: readonly string[]
}

/** A file in quarantine; its name is the id and why it is there. */
export interface Quarantined {
  readonly name: string
  readonly id: string
  readonly reason: string
  readonly sizeBytes: number
  /** Milliseconds since 1970. */
  readonly since: number
}

/** A temporary file of this age belongs to nobody, whatever process bears the number in its name. */
const temporaryAgeMs = 3_600_000
const looseMode = 0o077

export class SpoolStore implements Disposable {
  readonly places: SpoolPlaces
  readonly disk: Disk
  readonly #owner: number
  readonly #lock: Disposable | undefined
  readonly #directorySync: DirectorySync

  private constructor(
    disk: Disk,
    places: SpoolPlaces,
    owner: number,
    lock: Disposable | undefined,
  ) {
    this.disk = disk
    this.places = places
    this.#owner = owner
    this.#lock = lock
    this.#directorySync = new DirectorySync(disk, places.directory)
  }

  /** Throws SPOOL_BUSY where another process has it, SPOOL_UNUSABLE where it cannot be used. */
  static async open(disk: Disk, places: SpoolPlaces, lock = takeLock): Promise<SpoolStore> {
    const { directory } = places
    try {
      await makeSpool(disk, places)
      const { user } = await disk.factsOf(directory)
      const { mode } = await disk.ownerOf(directory)
      if ((mode & looseMode) !== 0) {
        const octal = mode.toString(8).padStart(4, '0')
        throw new Error(`mode ${octal} lets others in; it must be 0700`)
      }
      const held = lock(places.lock)
      if (held !== undefined) return new SpoolStore(disk, places, user, held)
    } catch (error) {
      const text = `${directory}: ${messageOf(error)}`
      throw new MailmuxError('SPOOL_UNUSABLE', text, { cause: error })
    }
    throw new MailmuxError('SPOOL_BUSY', `${directory}: in use${describeHolder(places.lock)}`)
  }

  /** What is there, in the order of arrival. Throws what the disk does. */
  async contents(): Promise<SpoolContents> {
    const ids: string[] = []
    const odd: string[] = []
    for (const name of await this.disk.list(this.places.directory)) {
      const meaning = meaningOf(name)
      if (meaning.kind === 'message') ids.push(meaning.id)
      else if (meaning.kind === 'odd') odd.push(name)
    }
    return { ids: ids.sort(), odd: odd.sort() }
  }

  /** Removes what writers that died have left; `wallMs` is the time now. Returns how many. */
  async removeLeftovers(wallMs: number): Promise<number> {
    let count = 0
    for (const name of await this.disk.list(this.places.directory)) {
      const meaning = meaningOf(name)
      if (meaning.kind !== 'temporary') continue
      const path = join(this.places.directory, name)
      try {
        const { changedAt } = await this.disk.factsOf(path)
        const isOfNow = meaning.boot === bootName() && isAlive(meaning.pid)
        if (isOfNow && Math.abs(wallMs - changedAt) < temporaryAgeMs) continue
        await this.disk.unlink(path)
        count++
      } catch (error) {
        // Its writer has finished it, or nothing can be removed now: it is found again.
        if (codeOf(error) === 'ENOENT') continue
      }
    }
    return count
  }

  /** Throws as MessageFile.open does. */
  open(id: string): Promise<MessageFile> {
    return MessageFile.open(this.disk, messagePath(this.places, id), id, this.#owner)
  }

  /**
   * Where all is done, and that is durable, `lazy` is enough: a name that comes back after a crash is
   * one that has no more to do.
   */
  async remove(id: string, how: 'durable' | 'lazy' = 'lazy'): Promise<void> {
    await this.disk.unlink(messagePath(this.places, id))
    const committed = this.#directorySync.commit()
    if (how === 'durable') await committed
    else committed.catch(() => undefined)
  }

  /** Keeps a message where nothing is delivered from. Throws what the disk does. */
  async quarantine(id: string, reason: string): Promise<void> {
    const name = await this.#freeName(`${id}.${reason}`)
    await this.disk.rename(messagePath(this.places, id), join(this.places.quarantine, name))
    await this.disk.syncDirectory(this.places.quarantine)
    await this.#directorySync.commit()
  }

  async countQuarantined(): Promise<number> {
    return (await this.disk.list(this.places.quarantine)).length
  }

  async quarantined(): Promise<Quarantined[]> {
    const found: Quarantined[] = []
    for (const name of await this.disk.list(this.places.quarantine)) {
      const dot = name.indexOf('.')
      const [id, reason] = dot === -1 ? [name, ''] : [name.slice(0, dot), name.slice(dot + 1)]
      try {
        const facts = await this.disk.factsOf(join(this.places.quarantine, name))
        const { sizeBytes, changedAt } = facts
        found.push({ name, id, reason, sizeBytes, since: changedAt })
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
      }
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Throws as MessageFile.open does. */
  openQuarantined({ name, id }: Quarantined): Promise<MessageFile> {
    return MessageFile.open(this.disk, join(this.places.quarantine, name), id, this.#owner)
  }

  /** Takes a message out of quarantine, to be tried again. Throws UnusableFile where it cannot be read. */
  async release(quarantined: Quarantined, wallMs: number): Promise<void> {
    const file = await this.openQuarantined(quarantined)
    try {
      await file.append({ do: 'released', at: wallMs }, 'durable')
    } finally {
      await file.close()
    }
    const path = join(this.places.quarantine, quarantined.name)
    const home = messagePath(this.places, quarantined.id)
    if (await this.#isThere(home)) {
      throw new UnusableFile('damaged', `message ${quarantined.id} is in the spool already`)
    }
    await this.disk.rename(path, home)
    await this.#directorySync.commit()
  }

  /** As an administrator asks for. */
  async removeQuarantined({ name }: Quarantined): Promise<void> {
    await this.disk.unlink(join(this.places.quarantine, name))
  }

  async #isThere(path: string): Promise<boolean> {
    try {
      await this.disk.factsOf(path)
      return true
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  async #freeName(wanted: string): Promise<string> {
    const taken = new Set(await this.disk.list(this.places.quarantine))
    let name = wanted
    for (let number = 2; taken.has(name); number++) name = `${wanted}.${number}`
    return name
  }

  [Symbol.dispose](): void {
    this.#lock?.[Symbol.dispose]()
  }
}
