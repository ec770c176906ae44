/**
 * One message of the spool, open: its envelope, its content piece by piece, its journal to be added to.
 * What is not exactly what was once written is refused as unusable, before anything of it is sent.
 */
import { createHash } from 'node:crypto'
import { messageOf } from '../base/error.ts'
import type { Disk, FileFacts, FoundFile } from '../storage/disk.ts'
import { formatRecord, type JournalRecord, readJournal } from './journal.ts'
import {
  type FirstLine,
  firstLineBytes,
  type MessageHead,
  parseFirstLine,
  parseHead,
  sumOf,
} from './message-format.ts'
import { type Progress, progressOf } from './progress.ts'
import { codeOf, isPassing } from './spool-fault.ts'
import type { SpooledContent } from './spooled-message.ts'

export type UnusableReason = 'damaged' | 'not_a_file' | 'linked' | 'wrong_owner' | 'unreadable'

/** A file that must not be delivered from. */
export class UnusableFile extends Error {
  readonly reason: UnusableReason

  constructor(reason: UnusableReason, detail: string, cause?: unknown) {
    super(detail, { cause })
    this.name = 'UnusableFile'
    this.reason = reason
  }
}

/** Enough for the envelope of nearly every message, in one read. */
const firstReadBytes = 4096
const pieceBytes = 65_536

interface Opened {
  readonly file: FoundFile
  readonly firstLine: FirstLine
  readonly head: MessageHead
  readonly records: readonly JournalRecord[]
  readonly end: number
  readonly isTorn: boolean
}

export class MessageFile {
  readonly head: MessageHead
  readonly contentBytes: number
  readonly #opened: Opened
  #records: readonly JournalRecord[]
  #unsaved: JournalRecord[] = []
  /** Where the next record goes. */
  #end: number
  #isTorn: boolean
  #saving: Promise<void> = Promise.resolve()

  private constructor(opened: Opened) {
    this.#opened = opened
    this.head = opened.head
    this.contentBytes = opened.firstLine.contentBytes
    this.#records = opened.records
    this.#end = opened.end
    this.#isTorn = opened.isTorn
  }

  /**
   * Reads everything but the content. Throws UnusableFile, or what the system reports where that says
   * nothing of the file itself. `owner` is who must own it.
   */
  static async open(disk: Disk, path: string, id: string, owner: number): Promise<MessageFile> {
    let file: FoundFile
    try {
      file = await disk.openFound(path)
    } catch (error) {
      if (isPassing(error) || codeOf(error) === 'ENOENT') throw error
      throw unopened(error)
    }
    try {
      refuseStrange(file.facts, owner)
      return new MessageFile(await readAll(file, id))
    } catch (error) {
      await file.close().catch(() => undefined)
      if (error instanceof UnusableFile || isPassing(error)) throw error
      throw new UnusableFile('unreadable', messageOf(error), error)
    }
  }

  /** What is known of its recipients, with all that was added. */
  get progress(): Progress {
    return progressOf(this.head, this.#records)
  }

  /** What was added and could not be written. */
  get unsaved(): readonly JournalRecord[] {
    return this.#unsaved
  }

  /**
   * Adds to the journal. `durable`: returns when it is on the medium. What cannot be written counts
   * nevertheless, and is written along with the next record. Throws what the disk does.
   */
  async append(record: JournalRecord, how: 'durable' | 'lazy'): Promise<void> {
    this.#records = [...this.#records, record]
    this.#unsaved.push(record)
    // One after the other: each begins where the one before has ended.
    const saving = this.#saving.then(
      () => this.#save(how),
      () => this.#save(how),
    )
    this.#saving = saving
    await saving
  }

  /** Takes over what could not be written before. */
  recall(records: readonly JournalRecord[]): void {
    this.#records = [...this.#records, ...records]
    this.#unsaved.push(...records)
  }

  async #save(how: 'durable' | 'lazy'): Promise<void> {
    const { file } = this.#opened
    const saved = [...this.#unsaved]
    const bytes = Buffer.concat(saved.map(formatRecord))
    if (this.#isTorn) await file.truncate(this.#end)
    this.#isTorn = true
    await file.write(bytes, this.#end)
    if (how === 'durable') await file.sync()
    this.#isTorn = false
    this.#end += bytes.length
    this.#unsaved = this.#unsaved.slice(saved.length)
  }

  /** The content in order. Throws UnusableFile at its end where it is not what was once written. */
  async *content(): AsyncGenerator<Buffer, void, undefined> {
    const { file, firstLine } = this.#opened
    const sum = createHash('sha256')
    const start = firstLineBytes + firstLine.headBytes
    for (let at = 0; at < firstLine.contentBytes; ) {
      const wanted = Math.min(pieceBytes, firstLine.contentBytes - at)
      const piece = await readOf(file, start + at, wanted)
      if (piece.length < wanted) throw new UnusableFile('damaged', 'the content is cut off')
      sum.update(piece)
      at += piece.length
      yield piece
    }
    if (sum.digest('hex') !== firstLine.contentSum) {
      throw new UnusableFile('damaged', 'the content is not what was written')
    }
  }

  /** The beginning of the content, as far as `limitBytes`. Not checked. */
  beginning(limitBytes: number): Promise<Buffer> {
    const { file, firstLine } = this.#opened
    const start = firstLineBytes + firstLine.headBytes
    return readOf(file, start, Math.min(limitBytes, firstLine.contentBytes))
  }

  /** The content as another message can take it over. Throws UnusableFile where it is damaged. */
  async asContent(): Promise<SpooledContent> {
    // All of it is looked at before any of it is copied.
    for await (const piece of this.content()) if (piece.length === 0) break
    const { file, firstLine } = this.#opened
    const start = firstLineBytes + firstLine.headBytes
    const readBack = (at: number, bytes: number): Buffer => file.readBack(start + at, bytes)
    return { kind: 'file', file: { ...file, readBack }, lengthBytes: firstLine.contentBytes }
  }

  async close(): Promise<void> {
    // What matters was synced before.
    await this.#opened.file.close().catch(() => undefined)
  }
}

/** A read that fails is a matter of this one file. */
async function readOf(file: FoundFile, position: number, lengthBytes: number): Promise<Buffer> {
  try {
    return await file.read(position, lengthBytes)
  } catch (error) {
    if (isPassing(error)) throw error
    throw new UnusableFile('unreadable', messageOf(error), error)
  }
}

function unopened(error: unknown): UnusableFile {
  switch (codeOf(error)) {
    case 'ELOOP':
      return new UnusableFile('linked', 'it is a symbolic link', error)
    case 'EISDIR':
    case 'ENXIO':
      return new UnusableFile('not_a_file', 'it is no regular file', error)
    default:
      return new UnusableFile('unreadable', messageOf(error), error)
  }
}

function refuseStrange({ kind, names, user }: FileFacts, owner: number): void {
  if (kind !== 'file') throw new UnusableFile('not_a_file', 'it is no regular file')
  if (names > 1) throw new UnusableFile('linked', `it has ${names} names`)
  if (user !== owner) throw new UnusableFile('wrong_owner', `it belongs to user ${user}`)
}

async function readAll(file: FoundFile, id: string): Promise<Opened> {
  const { sizeBytes } = file.facts
  const start = await file.read(0, Math.min(firstReadBytes, sizeBytes))
  const firstLine = parseFirstLine(start)
  if (firstLine === undefined) throw new UnusableFile('damaged', 'it does not begin as a message')
  const contentStart = firstLineBytes + firstLine.headBytes
  const journalStart = contentStart + firstLine.contentBytes
  if (journalStart > sizeBytes) throw new UnusableFile('damaged', 'it is cut off')
  const whole = start.length >= contentStart
  const headBytes = whole
    ? start.subarray(firstLineBytes, contentStart)
    : await file.read(firstLineBytes, firstLine.headBytes)
  const head = sumOf(headBytes) === firstLine.headSum ? parseHead(headBytes) : undefined
  if (head === undefined) throw new UnusableFile('damaged', 'the envelope is not what was written')
  if (head.id !== id) throw new UnusableFile('damaged', `it is message ${head.id}`)
  const journal = readJournal(
    sizeBytes === journalStart
      ? Buffer.alloc(0)
      : await file.read(journalStart, sizeBytes - journalStart),
  )
  if (journal.state === 'damaged') throw new UnusableFile('damaged', 'its journal is damaged')
  return {
    file,
    firstLine,
    head,
    records: journal.records,
    end: journalStart + journal.goodBytes,
    isTorn: journal.state === 'torn',
  }
}
