/**
 * The copy of a message that several back-ends are taking: what one of them does not take goes into
 * the spool from here. Small ones stay in memory, as the pieces that came; a larger one goes to a file
 * without a name, which is gone with the process. While the disk is slow, the sender waits.
 */
import { limits } from '../../base/limit.ts'
import { deadlines, type Timed } from '../../net/deadline.ts'
import type { SpooledContent } from '../../spool/spooled-message.ts'
import type { DiskFile } from '../../storage/disk.ts'

/** What goes to the disk in one go, and how much more may wait for it. */
const pieceBytes = 65_536

export interface CopyOptions {
  readonly openFile: () => Promise<DiskFile>
  /** How long the disk may take no octet; milliseconds. */
  readonly stallMs: number
  /** It can be given more, or has failed. */
  readonly changed: () => void
}

export class MessageCopy implements Timed {
  due: Timed['due']
  /** What went wrong with it: it is of no more use. */
  failure: Error | undefined
  readonly #options: CopyOptions
  /** Not on disk yet. */
  #parts: Buffer[] = []
  #partsBytes = 0
  #file: DiskFile | undefined
  #fileBytes = 0
  #writing: Promise<void> | undefined
  #isDiscarded = false

  constructor(options: CopyOptions) {
    this.#options = options
  }

  /** So much waits for the disk that no more is to be given. */
  get isBlocked(): boolean {
    return this.#writing !== undefined && this.#partsBytes > pieceBytes
  }

  /** The octets must stay as they are. */
  add(octets: Buffer): void {
    if (this.failure !== undefined || this.#isDiscarded) return
    this.#parts.push(octets)
    this.#partsBytes += octets.length
    const isLarge = this.#file !== undefined || this.#partsBytes > limits.messageCopyBytes
    if (isLarge) this.#writing ??= this.#write()
  }

  /** All of it, when all of it was added. Throws where it could not be kept. */
  async content(): Promise<SpooledContent> {
    await this.#writing
    if (this.failure !== undefined) throw this.failure
    const file = this.#file
    if (file === undefined) return { kind: 'memory', parts: this.#parts }
    return { kind: 'file', file, lengthBytes: this.#fileBytes }
  }

  /** The beginning of it, with all of its header as far as reports show that. Throws likewise. */
  async head(): Promise<SpooledContent> {
    const content = await this.content()
    if (content.kind === 'file') {
      return { ...content, lengthBytes: Math.min(content.lengthBytes, limits.shownHeadBytes) }
    }
    const bytes = Buffer.concat(content.parts)
    const end = bytes.indexOf('\r\n\r\n')
    return { kind: 'memory', parts: [end === -1 ? bytes : bytes.subarray(0, end + 2)] }
  }

  /** It is not needed any more. */
  discard(): void {
    this.#isDiscarded = true
    this.#parts = []
    this.#partsBytes = 0
    deadlines.disarm(this)
    if (this.#writing === undefined) this.#close()
  }

  timedOut(): void {
    this.#fail(new Error('the disk took nothing for too long'))
  }

  /** Never rejects: what went wrong is in `failure`. */
  async #write(): Promise<void> {
    try {
      while (this.#partsBytes > 0 && this.failure === undefined) {
        deadlines.arm(this, this.#options.stallMs)
        this.#file ??= await this.#options.openFile()
        const piece = this.#takePiece()
        await this.#file.write(piece, this.#fileBytes)
        this.#fileBytes += piece.length
        deadlines.disarm(this)
        if (!this.#isDiscarded && !this.isBlocked) this.#options.changed()
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    } finally {
      this.#writing = undefined
      if (this.#isDiscarded) this.#close()
    }
  }

  /** What is written in one go: large parts as they are, small ones together. */
  #takePiece(): Buffer {
    let count = 0
    let bytes = 0
    for (const part of this.#parts) {
      if (count > 0 && bytes + part.length > pieceBytes) break
      bytes += part.length
      count++
    }
    const taken = this.#parts.splice(0, count)
    this.#partsBytes -= bytes
    const [first] = taken
    return first !== undefined && count === 1 ? first : Buffer.concat(taken, bytes)
  }

  #fail(error: Error): void {
    this.failure ??= error
    this.#parts = []
    this.#partsBytes = 0
    deadlines.disarm(this)
    if (!this.#isDiscarded) this.#options.changed()
  }

  #close(): void {
    const file = this.#file
    this.#file = undefined
    // It has no name: nothing is left of it, whatever closing says.
    file?.close().catch(() => undefined)
  }
}
