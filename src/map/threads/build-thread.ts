/**
 * One thread of a build: reads parts of a source into blocks of records, settles them once the main
 * thread knows where they stand, and sorts buckets of the index.
 */
import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { BackendTable } from '../backend-table.ts'
import { BucketSorter } from '../database/sort-bucket.ts'
import { sumBlocks, wholeBlocks } from '../database/cold-writer.ts'
import { BucketReader, EntryBuckets } from '../database/entry-buckets.ts'
import { recordUnitBytes } from '../database/format.ts'
import { RecordBlock, settleBlock } from '../database/record-block.ts'
import { ValueTable } from '../database/value-table.ts'
import { isPatternKey } from '../key.ts'
import { type KeyedForm, KeyedLineReader, popmapForm, userMapForm } from '../sources/keyed-lines.ts'
import type { LineContext } from '../sources/source-context.ts'
import { Usage } from '../usage.ts'
import { LineRecorder } from './line-events.ts'
import type { Calls, Message, PartRequest, SettleRequest, ThreadSetting } from './messages.ts'

class BuildThread {
  readonly #setting: ThreadSetting
  readonly #backends: BackendTable
  readonly #recorder = new LineRecorder()
  readonly #usage = new Usage()
  readonly #entries = new EntryBuckets()
  readonly #free: RecordBlock[] = []
  readonly #blocks = new Map<number, RecordBlock>()
  #values = new ValueTable()
  /** How many values the main thread knows. */
  #told = 0
  #source: Calls['open']['request'] | undefined
  #reader: KeyedLineReader | undefined
  /** Where the reader puts records. */
  #current: RecordBlock
  #sorter: BucketSorter | undefined

  constructor(setting: ThreadSetting) {
    this.#setting = setting
    this.#backends = new BackendTable(setting.backends)
    this.#current = new RecordBlock(setting.seed, this.#values)
  }

  open(source: Calls['open']['request']): undefined {
    this.#source = source
    this.#reader = undefined
  }

  parse({ part, memory, start, end, values }: PartRequest): Calls['parse']['reply'] {
    if (values !== undefined) {
      this.#values = ValueTable.of(values)
      this.#told = values.length
      this.#reader = undefined
    }
    this.#reader ??= this.#openReader()
    const block = this.#takeBlock(part)
    this.#current = block
    this.#recorder.clear()
    const lines = this.#reader.take(Buffer.from(memory), start, end, 1)
    const newValues = this.#values.values.slice(this.#told)
    this.#told = this.#values.values.length
    const { lengthBytes, users, hasBareKeys, hasWideKeys } = block
    const { events, more } = this.#recorder
    return { lines, lengthBytes, users, hasBareKeys, hasWideKeys, newValues, events, more }
  }

  #takeBlock(part: number): RecordBlock {
    const { seed } = this.#setting
    const block = this.#blocks.get(part) ?? this.#free.pop() ?? new RecordBlock(seed, this.#values)
    block.clear()
    block.values = this.#values
    this.#blocks.set(part, block)
    return block
  }

  #openReader(): KeyedLineReader {
    assert.ok(this.#source)
    const { kind, file } = this.#source
    const recorder = this.#recorder
    const form: KeyedForm =
      kind === 'user_map'
        ? userMapForm
        : {
            ...popmapForm,
            takePattern(line) {
              if (!isPatternKey(line.key)) return false
              recorder.takePattern(line)
              return true
            },
          }
    return new KeyedLineReader(file, form, this.#contextOf())
  }

  #contextOf(): LineContext {
    const { naming, smarthost } = this.#setting
    const { problems, lookalikes, forwards } = this.#recorder
    return {
      naming,
      smarthost,
      backends: this.#backends,
      usage: this.#usage,
      problems,
      lookalikes,
      forwards,
      writer: {
        values: this.#values,
        addUser: (...user) => this.#current.addUser(...user),
        addPlainUser: (...user) => this.#current.addPlainUser(...user),
      },
    }
  }

  settle({ part, line, reference, numbers }: SettleRequest): Calls['settle']['reply'] {
    const block = this.#blocks.get(part)
    assert.ok(block)
    settleBlock(block, { line, reference, numbers }, this.#entries)
    const { lengthBytes } = block
    const { start, end } = wholeBlocks(reference * recordUnitBytes, lengthBytes)
    const sums = sumBlocks(block.bytes.subarray(start, end))
    return { memory: block.bytes.buffer, lengthBytes, sums }
  }

  release(part: number): undefined {
    const block = this.#blocks.get(part)
    assert.ok(block)
    this.#blocks.delete(part)
    this.#free.push(block)
  }

  close(): Calls['close']['reply'] {
    const { domains, byUsers } = this.#usage
    return { domains: [...domains], userMap: [...byUsers.user_map], popmap: [...byUsers.popmap] }
  }

  share(): Calls['share']['reply'] {
    this.#free.length = 0
    return this.#entries.share()
  }

  job({ sources, space, known }: Calls['job']['request']): undefined {
    this.#sorter = new BucketSorter(new BucketReader(sources), space, known)
  }

  sort(buckets: readonly number[]): Calls['sort']['reply'] {
    const sorter = this.#sorter
    assert.ok(sorter)
    return buckets.map((bucket) => sorter.sort(bucket))
  }
}

const port = parentPort
assert.ok(port)
const thread = new BuildThread(workerData as ThreadSetting)
port.on('message', ({ name, number, request }: Message) => {
  try {
    const call = thread[name].bind(thread) as (request: unknown) => Calls[keyof Calls]['reply']
    port.postMessage({ number, reply: call(request) })
  } catch (failure) {
    port.postMessage({ number, failure })
  }
})
