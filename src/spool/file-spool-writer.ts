/**
 * Takes messages into the spool. Nothing returns before data, name and directory are on the medium:
 * temporary name, write, fsync, rename, fsync of the directory, which many share.
 *
 * After an fsync that failed, what the kernel held of the file may be gone although the next fsync
 * would succeed: the file is never synced again but kept in quarantine, and for a while nothing is
 * taken at all, since the disk is suspect.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Disk, DiskFile } from '../storage/disk.ts'
import { DirectorySync } from './directory-sync.ts'
import {
  type FirstLine,
  firstLineBytes,
  formatFirstLine,
  formatHead,
  sumOf,
} from './message-format.ts'
import { codeOf, spoolFault } from './spool-fault.ts'
import { messagePath, newId, type SpoolPlaces, temporaryPath } from './spool-places.ts'
import type { SpooledContent, SpooledEnvelope, SpoolWriter } from './spooled-message.ts'

/** How much a spool may hold. */
export interface SpoolCaps {
  readonly maxSizeBytes: number
  readonly maxMessages: number
}

export interface SpoolUsage {
  readonly messages: number
  readonly bytes: number
}

export interface SpoolWriterOptions {
  readonly disk: Disk
  readonly places: SpoolPlaces
  readonly caps: SpoolCaps
  readonly clock: Clock
  readonly makeId?: (wallMs: number) => string
  /** A message is in the spool, and durable. */
  readonly accepted?: (id: string, bytes: number, envelope: SpooledEnvelope) => void
  /** Whether the disk of the spool is about to be full. */
  readonly isDiskShort?: () => boolean
  /** The disk failed in a way that a person should look at. */
  readonly suspect?: (detail: string) => void
}

interface Given {
  readonly envelope: SpooledEnvelope
  readonly content: SpooledContent
  readonly unwanted?: AbortSignal | undefined
}

/** How long nothing is taken after the disk has failed to sync; then one message tries it. */
const suspectMs = 60_000
const copyBytes = 65_536
const idAttempts = 4
/** Of a spool's caps: workers know a little late what it holds. */
const crowdedShare = 0.95

export class FileSpoolWriter implements SpoolWriter {
  caps: SpoolCaps
  readonly #options: SpoolWriterOptions
  readonly #directorySync: DirectorySync
  #usage: SpoolUsage = { messages: 0, bytes: 0 }
  #suspectUntil = -Infinity
  #isPrepared = false

  constructor(options: SpoolWriterOptions) {
    this.#options = options
    this.caps = options.caps
    this.#directorySync = new DirectorySync(options.disk, options.places.directory)
  }

  get isCrowded(): boolean {
    const { messages, bytes } = this.#usage
    const isNearCap =
      bytes >= this.caps.maxSizeBytes * crowdedShare ||
      messages >= this.caps.maxMessages * crowdedShare
    return isNearCap || this.#options.isDiskShort?.() === true
  }

  /** What the spool holds, as whoever delivers from it has counted. */
  set usage(usage: SpoolUsage) {
    this.#usage = usage
  }

  accept(
    envelope: SpooledEnvelope,
    content: SpooledContent,
    unwanted?: AbortSignal,
  ): Promise<string> {
    return this.#accept({ envelope, content, unwanted }, undefined)
  }

  /** As `accept`; where there is a message of that id already, it is that one. */
  acceptAs(id: string, envelope: SpooledEnvelope, content: SpooledContent): Promise<string> {
    return this.#accept({ envelope, content }, id)
  }

  async #accept(given: Given, givenId: string | undefined): Promise<string> {
    const { clock, places, accepted } = this.#options
    const { envelope, content } = given
    if (clock.now() < this.#suspectUntil) {
      throw new MailmuxError(
        'SPOOL_FAILED',
        `${places.directory}: the disk has failed a moment ago`,
      )
    }
    const bytes = lengthOf(content)
    this.#takeRoom(bytes)
    try {
      await this.#prepare()
      const id = givenId ?? (await this.#freeId())
      if (givenId === undefined || !(await this.#isTaken(id))) {
        await this.#store(id, given)
      }
      accepted?.(id, bytes, envelope)
      return id
    } catch (error) {
      // Somebody may have taken the folders away.
      this.#isPrepared = false
      this.#usage = { messages: this.#usage.messages - 1, bytes: this.#usage.bytes - bytes }
      throw spoolFault(error, places.directory)
    }
  }

  /** Counted before anything is written, so that many at once cannot go beyond it. */
  #takeRoom(bytes: number): void {
    const { messages, bytes: used } = this.#usage
    const { maxMessages, maxSizeBytes } = this.caps
    if (messages + 1 > maxMessages) {
      throw new MailmuxError('SPOOL_FULL', `the spool holds ${messages} messages already`)
    }
    if (used + bytes > maxSizeBytes) {
      throw new MailmuxError('SPOOL_FULL', `the spool holds ${used} bytes already`)
    }
    this.#usage = { messages: messages + 1, bytes: used + bytes }
  }

  async #prepare(): Promise<void> {
    if (this.#isPrepared) return
    await makeSpool(this.#options.disk, this.#options.places)
    this.#isPrepared = true
  }

  async #freeId(): Promise<string> {
    const { makeId = newId, clock } = this.#options
    for (let attempt = 1; attempt <= idAttempts; attempt++) {
      const id = makeId(clock.wall())
      if (!(await this.#isTaken(id))) return id
    }
    throw new Error('no id is free')
  }

  /** Renaming would put one message in the place of another. */
  async #isTaken(id: string): Promise<boolean> {
    const { disk, places } = this.#options
    try {
      await disk.factsOf(messagePath(places, id))
      return true
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  async #store(id: string, { envelope, content, unwanted }: Given): Promise<void> {
    const { disk, places, clock } = this.#options
    const temporary = temporaryPath(places, id)
    const head = formatHead({ id, arrivedAt: clock.wall(), envelope })
    const file = await disk.create(temporary, { mode: 0o600 })
    try {
      try {
        await writeAll(file, head, content)
        await this.#sync(file, id)
      } finally {
        await file.close()
      }
      if (unwanted?.aborted === true) throw new Error('nobody waits for it any more')
      await disk.rename(temporary, messagePath(places, id))
    } catch (error) {
      // What could not be synced has gone to quarantine already.
      await disk.unlink(temporary).catch(() => undefined)
      throw error
    }
    await this.#syncName(id)
  }

  async #sync(file: DiskFile, id: string): Promise<void> {
    const { places } = this.#options
    try {
      await file.sync()
    } catch (error) {
      await this.#setAside(temporaryPath(places, id), id, error)
      throw error
    }
  }

  async #syncName(id: string): Promise<void> {
    try {
      await this.#directorySync.commit()
    } catch (error) {
      await this.#setAside(messagePath(this.#options.places, id), id, error)
      throw error
    }
  }

  async #setAside(path: string, id: string, error: unknown): Promise<void> {
    const { disk, places, suspect, clock } = this.#options
    if (spoolFault(error, path).code === 'SPOOL_FULL') {
      // Nothing is wrong with the disk; what was not accepted is not kept.
      await disk.unlink(path).catch(() => undefined)
      return
    }
    this.#suspectUntil = clock.now() + suspectMs
    const kept = join(places.quarantine, `${id}.unsynced`)
    let detail = `${id}: ${messageOf(error)}`
    try {
      await disk.rename(path, kept)
    } catch (second) {
      detail += `; it could not be put in quarantine: ${messageOf(second)}`
    }
    suspect?.(detail)
  }
}

/** Makes the folders of a spool where they are not there. Throws SPOOL_UNUSABLE. */
export async function makeSpool(disk: Disk, { directory, quarantine }: SpoolPlaces): Promise<void> {
  await disk.makeDirectory(directory, 0o700)
  await disk.makeDirectory(quarantine, 0o700)
}

function lengthOf(content: SpooledContent): number {
  if (content.kind === 'file') return content.lengthBytes
  return content.parts.reduce((sum, { length }) => sum + length, 0)
}

/** The first line names sums of what follows, so it is known last. */
async function writeAll(file: DiskFile, head: Buffer, content: SpooledContent): Promise<void> {
  const contentBytes = lengthOf(content)
  const about = { headBytes: head.length, contentBytes, headSum: sumOf(head) }
  if (content.kind === 'memory') {
    const body = Buffer.concat(content.parts)
    const first = formatFirstLine({ ...about, contentSum: sumOf(body) })
    await file.write(Buffer.concat([first, head, body]), 0)
    return
  }
  const start = firstLineBytes + head.length
  const contentSum = await copyContent(content, file, start)
  const first: FirstLine = { ...about, contentSum }
  await file.write(Buffer.concat([formatFirstLine(first), head]), 0)
}

/** Copies piece by piece to `start`; returns the sum. */
async function copyContent(
  { file: from, lengthBytes }: SpooledContent & { kind: 'file' },
  to: DiskFile,
  start: number,
): Promise<string> {
  const sum = createHash('sha256')
  for (let at = 0; at < lengthBytes; ) {
    const piece = from.readBack(at, Math.min(copyBytes, lengthBytes - at))
    if (piece.length === 0) throw new Error('the copy of the message is shorter than it was')
    sum.update(piece)
    await to.write(piece, start + at)
    at += piece.length
  }
  return sum.digest('hex')
}
