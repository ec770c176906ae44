/**
 * Hashes of messages that were read by one run, so that a second comparison reads only what has come
 * since: what a UID of a UIDVALIDITY names never changes (RFC 9051 section 2.3.1.1).
 */
import type { FolderState } from '../map/state/copy-journal.ts'

export class KnownHashes {
  readonly #folders = new Map<string, Map<number, string>>()

  /** By UID, to be read and added to. */
  of(end: 'source' | 'target', folder: string, state: FolderState): Map<number, string> {
    const key = `${end} ${state.uidValidity} ${folder}`
    const known = this.#folders.get(key)
    if (known !== undefined) return known
    const made = new Map<number, string>()
    this.#folders.set(key, made)
    return made
  }
}
