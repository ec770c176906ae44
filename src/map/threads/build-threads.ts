/** The threads of one build: each is called, and answers in the order of its calls. */
import { Worker } from 'node:worker_threads'
import { MailmuxError, messageOf } from '../../base/error.ts'
import { moduleFile } from '../../base/module-file.ts'
import type { Helpers } from '../database/database-writer.ts'
import { bucketCount } from '../database/entry-buckets.ts'
import type { SortJob } from '../database/index-builder.ts'
import type { Calls, Message, Reply, ThreadSetting } from './messages.ts'

/** So many buckets are sorted at one call. */
const bucketsAtOnce = 8

interface Waiting {
  resolve(reply: unknown): void
  reject(failure: unknown): void
}

export class BuildThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #count = 0
  #failure: Error | undefined
  /** The thread's numbers of values → the database's. */
  #numbers = [0]
  #begun = 0

  constructor(setting: ThreadSetting, entry: URL) {
    this.#worker = new Worker(entry, { workerData: setting })
    this.#worker.on('message', (reply: Reply) => this.#take(reply))
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', (code) => this.#end(new Error(`exit code ${code}`)))
  }

  /** Calls that are not answered. */
  get pending(): number {
    return this.#waiting.size
  }

  /** Throws what the thread has met, and INTERNAL where it has ended. */
  call<Name extends keyof Calls>(
    name: Name,
    request: Calls[Name]['request'],
  ): Promise<Calls[Name]['reply']> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const number = this.#count++
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#worker.postMessage({ name, number, request } satisfies Message<Name>, [])
    })
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.get(reply.number)
    this.#waiting.delete(reply.number)
    if ('failure' in reply) waiting?.reject(reply.failure)
    else waiting?.resolve(reply.reply)
  }

  #end(cause: unknown): void {
    const what = `a thread of the build ended: ${messageOf(cause)}`
    this.#failure ??= new MailmuxError('INTERNAL', what, { cause })
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure)
    this.#waiting.clear()
  }

  /** How often it was told to begin anew with the values of the database. */
  get begun(): number {
    return this.#begun
  }

  /** It goes on with the first values of the database, numbered as there. */
  beginAnew(count: number): void {
    this.#begun++
    this.#numbers = Array.from({ length: count + 1 }, (_, number) => number)
  }

  /** Says what the thread's next value is in the database. */
  numberNext(number: number): void {
    this.#numbers.push(number)
  }

  /** By the thread's numbers; undefined where both are the same. */
  valueNumbers(): Uint32Array | undefined {
    const isSame = this.#numbers.every((number, own) => number === own)
    return isSame ? undefined : Uint32Array.from(this.#numbers)
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}

export class BuildThreads implements Helpers {
  readonly all: readonly BuildThread[]

  constructor(
    count: number,
    setting: ThreadSetting,
    entry: URL = moduleFile('map/threads/build-thread'),
  ) {
    this.all = Array.from({ length: count }, () => new BuildThread(setting, entry))
  }

  /** The thread that has least to do. */
  get idlest(): BuildThread {
    return this.all.reduce((one, other) => (other.pending < one.pending ? other : one))
  }

  callAll<Name extends keyof Calls>(
    name: Name,
    request: Calls[Name]['request'],
  ): Promise<Calls[Name]['reply'][]> {
    return Promise.all(this.all.map((thread) => thread.call(name, request)))
  }

  shareEntries() {
    return this.callAll('share', undefined)
  }

  readonly sortBuckets = async (job: SortJob, firstBucket: number) => {
    let next = firstBucket
    await this.callAll('job', job)
    const sortSome = async (thread: BuildThread): Promise<Calls['sort']['reply']> => {
      const sorted: Calls['sort']['reply'][number][] = []
      while (next < bucketCount) {
        const length = Math.min(bucketsAtOnce, bucketCount - next)
        const buckets = Array.from({ length }, (_, number) => next + number)
        next += length
        sorted.push(...(await thread.call('sort', buckets)))
      }
      return sorted
    }
    return (await Promise.all(this.all.map(sortSome))).flat()
  }

  async end(): Promise<void> {
    await Promise.all(this.all.map((thread) => thread.end()))
  }
}
