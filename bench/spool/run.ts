/**
 * The spool: durable messages taken in a second, one after the other and many at once, and how long a
 * start takes with many files. `node bench/spool/run.ts [MESSAGES [FILES]]`
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Queue } from '../../src/daemon/queue/queue.ts'
import { systemClock } from '../../src/backend/system-clock.ts'
import { FileSpoolWriter } from '../../src/spool/file-spool-writer.ts'
import { spoolPlaces } from '../../src/spool/spool-places.ts'
import { SpoolStore } from '../../src/spool/spool-store.ts'
import type { SpooledEnvelope } from '../../src/spool/spooled-message.ts'
import { type Disk, realDisk } from '../../src/storage/disk.ts'

const messages = Number(process.argv[2] ?? 5000)
const files = Number(process.argv[3] ?? 100_000)
const part = Buffer.alloc(4096, 'text of a message of four kilobytes\r\n')
const content = { kind: 'memory', parts: [part] } as const
const envelope: SpooledEnvelope = {
  sender: 'sue@example.net',
  body: undefined,
  smtpUtf8: false,
  ret: undefined,
  envelopeId: undefined,
  service: 'smtp',
  session: '1-1',
  peer: '192.0.2.1:1',
  recipients: [
    {
      address: 'ann@example.com',
      originalRecipient: undefined,
      notify: undefined,
      state: { kind: 'owed', backend: 'fritz', reason: 'fritz cannot be reached' },
    },
  ],
}

/** On the disk of the checkout: /tmp may be memory. */
const folder = mkdtempSync(join(process.cwd(), 'tmp-spool-bench-'))
const caps = { maxMessages: Infinity, maxSizeBytes: Infinity }

async function fill(name: string, count: number, atOnce: number, disk: Disk): Promise<number> {
  const places = spoolPlaces(join(folder, name))
  const writer = new FileSpoolWriter({ disk, places, caps, clock: systemClock })
  let left = count
  const startedAt = performance.now()
  const work = async (): Promise<void> => {
    while (left-- > 0) await writer.accept(envelope, content)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return count / ((performance.now() - startedAt) / 1000)
}

/** What it takes to make files, without making them durable. */
const lazyDisk: Disk = {
  ...realDisk,
  syncDirectory: () => Promise.resolve(),
  async create(path, owner) {
    return { ...(await realDisk.create(path, owner)), sync: () => Promise.resolve() }
  },
}

/** The same calls with nothing around them, one after the other: what the disk can do. */
function fillRaw(name: string, count: number): number {
  const directory = join(folder, name)
  mkdirSync(directory)
  const startedAt = performance.now()
  for (let at = 0; at < count; at++) {
    const descriptor = openSync(join(directory, `tmp${at}`), 'wx', 0o600)
    writeSync(descriptor, part)
    fsyncSync(descriptor)
    closeSync(descriptor)
    renameSync(join(directory, `tmp${at}`), join(directory, `${at}.msg`))
    const names = openSync(directory, 'r')
    fsyncSync(names)
    closeSync(names)
  }
  return count / ((performance.now() - startedAt) / 1000)
}

async function recover(name: string): Promise<{ readyMs: number; scanMs: number }> {
  const startedAt = performance.now()
  const store = await SpoolStore.open(realDisk, spoolPlaces(join(folder, name)))
  const queue = new Queue({
    store,
    clock: systemClock,
    log: () => undefined,
    random: Math.random,
    hasCrashed: false,
    // Nobody is delivered to: what is measured is finding them.
    attempt: () =>
      Promise.resolve({ kind: 'waiting', hasTried: false, skipped: [], unreachable: [] }),
  })
  const scan = queue.start()
  const readyMs = performance.now() - startedAt
  await scan
  const scanMs = performance.now() - startedAt
  await queue.stop()
  store[Symbol.dispose]()
  return { readyMs, scanMs }
}

try {
  const raw = fillRaw('raw', messages)
  process.stdout.write(`the bare calls, one after the other: ${Math.round(raw)} messages/s\n`)
  for (const atOnce of [1, 8, 64]) {
    const rate = await fill(`accept-${atOnce}`, messages, atOnce, realDisk)
    process.stdout.write(
      `${atOnce} at once: ${Math.round(rate)} durable messages/s, ${(rate / raw).toFixed(2)} of that\n`,
    )
  }
  await fill('recover', files, 64, lazyDisk)
  const { readyMs, scanMs } = await recover('recover')
  const rss = Math.round(process.memoryUsage().rss / 1_048_576)
  process.stdout.write(
    `${files} files: ready in ${readyMs.toFixed(0)} ms, all found and looked at in ${scanMs.toFixed(0)} ms, ${rss} MiB\n`,
  )
} finally {
  rmSync(folder, { recursive: true })
}
