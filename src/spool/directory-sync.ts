/**
 * Makes names durable for many at once: whoever comes while the directory is being synced waits for
 * the next sync, and all who wait share it.
 */
import type { Disk } from '../storage/disk.ts'

export class DirectorySync {
  readonly #disk: Disk
  readonly #directory: string
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  /** Returns when every name that was changed before the call is on the medium. Throws what the disk does. */
  commit(): Promise<void> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#start()
    // One that is under way may have looked at the directory before our name was there.
    this.#next = this.#running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  #start(): Promise<void> {
    this.#next = undefined
    const running = this.#disk.syncDirectory(this.#directory).finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }
}
