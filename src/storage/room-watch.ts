/**
 * Whether a file system is about to be full: less than a twentieth of it is free and less than 1 GiB,
 * or less than a twentieth of its names. Looked at no more than once a second and never waited for:
 * the answer is that of the last look.
 */
import { statfs } from 'node:fs/promises'

const lookEveryMs = 1000
const freeShare = 0.05
const enoughBytes = 2 ** 30

export class RoomWatch {
  readonly #folder: string
  #isShort = false
  #isLooking = false
  /** Monotonic milliseconds. */
  #lookedAt = -Infinity

  /** `folder` need not be there yet. */
  constructor(folder: string) {
    this.#folder = folder
    void this.look()
  }

  get isShort(): boolean {
    if (performance.now() - this.#lookedAt >= lookEveryMs) void this.look()
    return this.#isShort
  }

  /** Never rejects: of a folder that cannot be asked about, whoever writes there will hear. */
  async look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#lookedAt = performance.now()
    try {
      const { blocks, bavail, bsize, files, ffree } = await statfs(this.#folder)
      const hasBytes = bavail >= blocks * freeShare || bavail * bsize >= enoughBytes
      // Some file systems do not count names.
      const hasNames = files === 0 || ffree >= files * freeShare
      this.#isShort = !hasBytes || !hasNames
    } catch {
      this.#isShort = false
    } finally {
      this.#isLooking = false
    }
  }
}
