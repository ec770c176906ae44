/**
 * Reads one big source in parts that threads work on at once. What they find is taken over in the
 * order of the file, so that the database and what is told of the source are as if read by one.
 */
import type { LeaseBuffer } from '../../storage/chunked-read.ts'
import type { DatabaseWriter } from '../database/database-writer.ts'
import { sharedLimit } from '../database/value-table.ts'
import type { KeyedForm } from '../sources/keyed-lines.ts'
import { tellFinding } from '../sources/read-lines.ts'
import type { SourceContext, SourceFile } from '../sources/source-context.ts'
import { chunkBytes, lineLimitBytes, type Piece, readPieces } from '../sources/source-pieces.ts'
import type { BuildThread, BuildThreads } from './build-threads.ts'
import { replay } from './line-events.ts'
import type { PartReport, PartRequest, SettledPart } from './messages.ts'

/** Parts that are read and not yet written, for each thread. */
const partsAhead = 4
const memoryBytes = lineLimitBytes + chunkBytes + 1

interface Part {
  readonly thread: BuildThread
  readonly request: PartRequest
  /** How often the thread had begun anew with its values. */
  readonly begun: number
  readonly report: Promise<PartReport>
  release(): void
}

/** As `readKeyedLines`, with threads. */
export async function readKeyedLinesInThreads(
  file: SourceFile,
  form: KeyedForm,
  context: SourceContext,
  threads: BuildThreads,
): Promise<number> {
  return await new SplitSource(file, form, context, threads).run()
}

class SplitSource {
  readonly #file: SourceFile
  readonly #form: KeyedForm
  readonly #context: SourceContext
  readonly #writer: DatabaseWriter
  readonly #threads: BuildThreads
  readonly #memory: MemoryPool
  #line = 1
  #partCount = 0
  /** Parts and findings, each after the one before. */
  #taken: Promise<void> = Promise.resolve()
  #written: Promise<void> = Promise.resolve()
  #failure: unknown

  constructor(file: SourceFile, form: KeyedForm, context: SourceContext, threads: BuildThreads) {
    this.#file = file
    this.#form = form
    this.#context = context
    this.#writer = context.writer
    this.#threads = threads
    this.#memory = new MemoryPool(threads.all.length * partsAhead)
  }

  async run(): Promise<number> {
    const { kind } = this.#form
    await this.#threads.callAll('open', { kind, file: this.#file })
    const { noteSource, signal } = this.#context
    const options = {
      noteSource,
      signal,
      addToDigest: (bytes: Uint8Array) => this.#context.addToDigest(bytes),
      lease: this.#memory.lease,
      release: (memory: Buffer) => this.#memory.release(memory),
    }
    try {
      for await (const piece of readPieces(this.#file.path, options)) this.#add(piece)
      await this.#taken
      await this.#written
    } catch (error) {
      throw this.#failure ?? error
    }
    await this.#takeUsage()
    return this.#line - 1
  }

  #add(piece: Piece): void {
    if (piece.kind === 'lines') {
      const part = this.#begin(piece.bytes, piece.start, piece.end)
      this.#next(() => this.#take(part))
    } else {
      this.#next(() => {
        if (piece.kind === 'skipped') this.#line++
        else tellFinding(piece, this.#file, this.#line, this.#context)
      })
    }
  }

  #next(step: () => Promise<void> | void): void {
    this.#taken = this.#taken.then(step)
    this.#taken.catch((error: unknown) => this.#fail(error))
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#memory.close()
  }

  #begin(bytes: Buffer, start: number, end: number): Part {
    const thread = this.#threads.idlest
    const shared = this.#memory.isOf(bytes) ? bytes : copyShared(bytes)
    const request = {
      part: this.#partCount++,
      memory: shared.buffer as SharedArrayBuffer,
      start,
      end,
      values: undefined,
    }
    const report = thread.call('parse', request)
    // It is met when the part is taken; until then it must not count as unhandled.
    report.catch(() => undefined)
    const release = (): void => this.#memory.release(bytes)
    return { thread, request, begun: thread.begun, report, release }
  }

  async #take(part: Part): Promise<void> {
    const report = await this.#reportOf(part)
    const { problems } = this.#context
    const lines = this.#line - 1
    const [file, context, form] = [this.#file, this.#context, this.#form]
    replay(report.events, { file, lines, context, form })
    problems.errors += report.more.errors
    problems.warnings += report.more.warnings
    this.#line += report.lines
    const reference = this.#writer.reserve(report.lengthBytes, report)
    const { thread, request } = part
    const numbers = thread.valueNumbers()
    const settled = thread.call('settle', { part: request.part, line: lines, reference, numbers })
    settled.catch(() => undefined)
    this.#written = this.#write(part, settled, this.#written)
    this.#written.catch((error: unknown) => this.#fail(error))
  }

  async #write(part: Part, settled: Promise<SettledPart>, before: Promise<void>): Promise<void> {
    await before
    const { memory, lengthBytes, sums } = await settled
    const bytes = new Uint8Array(memory, 0, lengthBytes)
    const writing = this.#writer.appendSettled({ bytes, sums })
    void writing.then(() => this.#release(part))
    await this.#writer.settle()
  }

  #release(part: Part): void {
    part.release()
    part.thread.call('release', part.request.part).catch((error: unknown) => this.#fail(error))
  }

  /**
   * Numbers the part's new values as the database does. Where there is no room for all of them, the
   * thread reads the part again, with those that there are: then it meets the limit in its lines.
   */
  async #reportOf({ thread, request, begun, report }: Part): Promise<PartReport> {
    const { values } = this.#writer
    let found = await report
    const unknown = found.newValues.filter((value) => !values.has(value))
    if (begun !== thread.begun || values.values.length + unknown.length > sharedLimit) {
      const known = [...values.values]
      thread.beginAnew(known.length)
      found = await thread.call('parse', { ...request, values: known })
    }
    for (const value of found.newValues) thread.numberNext(values.numberOf(value))
    return found
  }

  async #takeUsage(): Promise<void> {
    const { usage } = this.#context
    for (const { domains, userMap, popmap } of await this.#threads.callAll('close', undefined)) {
      for (const domain of domains) usage.domains.add(domain)
      for (const backend of userMap) usage.byUsers.user_map.add(backend)
      for (const backend of popmap) usage.byUsers.popmap.add(backend)
    }
  }
}

function copyShared(bytes: Buffer): Buffer {
  const shared = Buffer.from(new SharedArrayBuffer(bytes.length))
  bytes.copy(shared)
  return shared
}

/** Memory for parts: who wants more than there is waits until some comes back. */
class MemoryPool {
  readonly #all: ReadonlySet<Buffer>
  readonly #free: Buffer[]
  readonly #waiting: { give(memory: Buffer): void; refuse(reason: unknown): void }[] = []
  #isClosed = false

  constructor(count: number) {
    this.#free = Array.from({ length: count }, () =>
      Buffer.from(new SharedArrayBuffer(memoryBytes)),
    )
    this.#all = new Set(this.#free)
  }

  isOf(memory: Buffer): boolean {
    return this.#all.has(memory)
  }

  readonly lease: LeaseBuffer = () => {
    if (this.#isClosed) return Promise.reject(new Error('reading was given up'))
    const memory = this.#free.pop()
    if (memory !== undefined) return memory
    return new Promise((give, refuse) => this.#waiting.push({ give, refuse }))
  }

  release(memory: Buffer): void {
    if (!this.#all.has(memory)) return
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#free.push(memory)
    else waiting.give(memory)
  }

  /** Refuses those who wait, and who asks from now on. */
  close(): void {
    this.#isClosed = true
    for (const waiting of this.#waiting.splice(0)) waiting.refuse(new Error('reading was given up'))
  }
}
