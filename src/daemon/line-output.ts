/**
 * Lines to a file descriptor that several processes share. Writing never waits: lines queue up to a
 * bound, beyond it they are dropped and counted. Each write holds whole lines and is, where one line
 * is not longer by itself, no longer than what is taken in one piece, not mixed with others' lines.
 *
 * Pino's own destination is not used: its flush at the end never returns where the reader has gone.
 */
import { fstatSync, write, writeSync } from 'node:fs'

/** PIPE_BUF of Linux. */
const pipePieceBytes = 4096
/** Files that are appended to take any length in one piece, sockets of this host 32 KiB and more. */
const pieceBytes = 16_384
/** Lines wait for each other this long: each write costs a switch to another thread and back. */
const gatherMs = 20
const heldBytes = 4 * 1024 * 1024
/** A pipe that is full is tried again after this time. */
const retryMs = 50
/** The longest that the end of the process may wait for a slow reader. */
const finishMs = 2_000
/** A write that is under way at the end of the process needs no longer than this. */
const inFlightMs = 10
/** One that takes this long waits for its reader. */
const stuckMs = 100

export class LineOutput {
  /** Lines lost so far. */
  dropped = 0
  /** Called when everything is written. */
  onDrained: () => void = () => undefined
  readonly #fd: number
  readonly #pieceBytes: number
  #lines: string[] = []
  #heldBytes = 0
  /** What is being written now, and how much of it is done. */
  #current = Buffer.alloc(0)
  #isWriting = false
  /** A write is in the hands of another thread: its outcome is not known yet. */
  #isInFlight = false
  #startedAt = 0
  #isBroken = false
  #gathering: NodeJS.Timeout | undefined

  constructor(fd: number) {
    this.#fd = fd
    this.#pieceBytes = fstatSync(fd).isFIFO() ? pipePieceBytes : pieceBytes
  }

  /** Takes one line with its end. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#isBroken || this.#heldBytes + bytes > heldBytes) {
      this.dropped++
      return
    }
    this.#lines.push(line)
    this.#heldBytes += bytes
    if (!this.#isWriting) this.#gather()
  }

  /** Resolves when all is written, the reader has gone, or two seconds have passed. */
  async finish(): Promise<void> {
    const deadline = performance.now() + finishMs
    while (this.#heldBytes > 0 && !this.#isBroken && performance.now() < deadline) {
      if (this.#gathering !== undefined) this.#writeNext()
      await new Promise((resolve) => {
        setTimeout(resolve, 1)
      })
    }
    if (this.#heldBytes > 0) this.#giveUp()
  }

  /**
   * Writes what is left, in place: for the very end of a process that had no time for `finish`.
   * Gives up when the reader has gone, or after two seconds.
   */
  flush(): void {
    if (this.#isInFlight) {
      // A reader that stood still before would make us stand still for ever.
      if (performance.now() - this.#startedAt > stuckMs) return this.#giveUp()
      pause(inFlightMs)
      this.#current = Buffer.alloc(0)
    }
    const deadline = performance.now() + finishMs
    while (!this.#isBroken && this.#fill()) {
      try {
        this.#advance(writeSync(this.#fd, this.#current))
      } catch (error) {
        if (!isFull(error) || performance.now() > deadline) this.#giveUp()
        else pause(retryMs)
      }
    }
  }

  /** A piece that is full goes out at once, a smaller one waits for more. */
  #gather(): void {
    if (this.#heldBytes >= this.#pieceBytes) this.#writeNext()
    else this.#gathering ??= setTimeout(() => this.#writeNext(), gatherMs)
  }

  #writeNext(): void {
    clearTimeout(this.#gathering)
    this.#gathering = undefined
    this.#isWriting = this.#fill()
    if (!this.#isWriting) return
    this.#isInFlight = true
    this.#startedAt = performance.now()
    write(this.#fd, this.#current, (error, written) => {
      this.#isInFlight = false
      if (error === null) {
        this.#advance(written)
        this.#goOn()
      } else if (isFull(error)) {
        setTimeout(() => this.#writeNext(), retryMs)
      } else {
        this.#giveUp()
      }
    })
  }

  #goOn(): void {
    this.#isWriting = this.#current.length > 0
    if (this.#isWriting) this.#writeNext()
    else if (this.#heldBytes > 0) this.#gather()
    else this.onDrained()
  }

  /** Takes the next lines, together as long as one piece. False where nothing is left. */
  #fill(): boolean {
    if (this.#current.length > 0) return true
    let count = 0
    let bytes = 0
    for (const line of this.#lines) {
      const lineBytes = Buffer.byteLength(line)
      if (count > 0 && bytes + lineBytes > this.#pieceBytes) break
      bytes += lineBytes
      count++
    }
    this.#current = Buffer.from(this.#lines.splice(0, count).join(''))
    return count > 0
  }

  #advance(written: number): void {
    this.#heldBytes -= written
    this.#current = this.#current.subarray(written)
  }

  /** Nobody reads, or the disk is full: the daemon goes on without a log. */
  #giveUp(): void {
    this.#isBroken = true
    this.#isWriting = false
    this.dropped += this.#lines.length + (this.#current.length > 0 ? 1 : 0)
    this.#lines = []
    this.#current = Buffer.alloc(0)
    this.#heldBytes = 0
  }
}

function pause(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs)
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EAGAIN' || code === 'EBUSY'
}
