/**
 * IMAP's COMPRESS=DEFLATE (RFC 4978): from the end of the answer to it on all that comes is inflated,
 * and all that goes deflated.
 */
import zlib from 'node:zlib'
import { cleanText, readStatus, type StatusLine } from '../protocol/imap/grammar.ts'

const tag = 'Z'

export const compressCommand = `${tag} COMPRESS DEFLATE\r\n`

/** Untagged responses before the answer are few, and short. */
const answerBytes = 8_192

/** `rest` is what came after it. */
export type Answered =
  | { readonly kind: 'accepted' | 'declined' | 'malformed'; readonly rest: Buffer }
  | { readonly kind: 'bye'; readonly status: StatusLine }

/** Reads the answer to `compressCommand`. Pure. */
export class CompressAnswer {
  #pending = Buffer.alloc(0)

  /** Undefined while it has not come. */
  push(bytes: Buffer): Answered | undefined {
    this.#pending = Buffer.concat([this.#pending, bytes])
    for (;;) {
      const end = this.#pending.indexOf('\r\n')
      if (end === -1) {
        const isEndless = this.#pending.length > answerBytes
        return isEndless ? { kind: 'malformed', rest: this.#pending } : undefined
      }
      const line = this.#pending.subarray(0, end).toString('latin1')
      this.#pending = this.#pending.subarray(end + 2)
      if (line.startsWith('* ')) {
        const told = readStatus(line.slice(2))
        if (told?.status === 'BYE') return { kind: 'bye', status: told }
        continue
      }
      const status = line.startsWith(`${tag} `) ? readStatus(line.slice(tag.length + 1)) : undefined
      const kind =
        status === undefined ? 'malformed' : status.status === 'OK' ? 'accepted' : 'declined'
      return { kind, rest: this.#pending }
    }
  }
}

/** The server ends the connection, and says why. */
export class Farewell extends Error {
  readonly status: StatusLine

  constructor(status: StatusLine) {
    super(cleanText(status.text))
    this.status = status
  }
}

export interface CompressedEnds {
  /** Takes what has come, inflated. False: no more of it now. */
  readonly take: (bytes: Buffer) => boolean
  /** Takes what is to go, deflated; calls back when it has gone. */
  readonly send: (bytes: Buffer, done: () => void) => void
  /** More may come. */
  readonly resume: () => void
  /** All that came was taken. */
  readonly end: () => void
  readonly fail: (error: Error) => void
}

export class Compression {
  readonly #inflate = zlib.createInflateRaw({ finishFlush: zlib.constants.Z_SYNC_FLUSH })
  /** What is written is sent: somebody waits for the answer to it. */
  readonly #deflate = zlib.createDeflateRaw({ flush: zlib.constants.Z_SYNC_FLUSH })
  #unsent = 0
  #done: (() => void) | undefined

  constructor({ take, send, resume, end, fail }: CompressedEnds) {
    this.#inflate
      .on('data', (bytes: Buffer) => {
        if (!take(bytes)) this.#inflate.pause()
      })
      .on('drain', resume)
      .on('end', end)
      .on('error', fail)
    this.#deflate
      .on('data', (bytes: Buffer) => {
        this.#unsent++
        send(bytes, () => {
          this.#unsent--
          this.#settle()
        })
      })
      .on('error', fail)
  }

  /** Takes bytes that have come. False: no more of them now. */
  took(bytes: Buffer): boolean {
    return this.#inflate.write(bytes)
  }

  /** What was inflated is wanted again. False: what there is comes first. */
  resume(): boolean {
    this.#inflate.resume()
    return !this.#inflate.writableNeedDrain
  }

  /** The peer sends no more. */
  end(): void {
    this.#inflate.end()
  }

  /** One at a time; `done`: it has gone. */
  write(bytes: Buffer, done: () => void): void {
    this.#deflate.write(bytes, () => {
      this.#done = done
      this.#settle()
    })
  }

  destroy(): void {
    this.#inflate.destroy()
    this.#deflate.destroy()
  }

  #settle(): void {
    const done = this.#done
    if (this.#unsent > 0 || done === undefined) return
    this.#done = undefined
    done()
  }
}
