/**
 * Messages that were read by one run, so that a second comparison reads only what has come or changed
 * since: what a UID of a UIDVALIDITY names never changes but for its flags (RFC 9051 section
 * 2.3.1.1), and of those a server with CONDSTORE tells which have (RFC 7162 section 3.1.4).
 */
import type { FolderState } from '../map/state/copy-journal.ts'

export interface KnownMessage {
  readonly sha256: string
  readonly sizeBytes: number
  /** Seconds since 1970. */
  readonly date: number | undefined
  readonly flags: string
}

export interface KnownFolder {
  /** By UID, to be read and added to. */
  readonly messages: Map<number, KnownMessage>
  /** Their flags are those of then, or newer; '' where the server does not tell. */
  modseq: string
}

export class KnownMessages {
  readonly #folders = new Map<string, KnownFolder>()

  of(end: 'source' | 'target', folder: string, { uidValidity }: FolderState): KnownFolder {
    const key = `${end} ${uidValidity} ${folder}`
    const known = this.#folders.get(key)
    if (known !== undefined) return known
    const made = { messages: new Map<number, KnownMessage>(), modseq: '' }
    this.#folders.set(key, made)
    return made
  }
}
