/** Spools, envelopes and contents for tests. */
import { reply } from '../../src/mail/reply.ts'
import { FileSpoolWriter } from '../../src/spool/file-spool-writer.ts'
import type { MessageFile } from '../../src/spool/message-file.ts'
import { type SpoolPlaces, spoolPlaces } from '../../src/spool/spool-places.ts'
import { SpoolStore } from '../../src/spool/spool-store.ts'
import type {
  SpooledContent,
  SpooledEnvelope,
  SpooledRecipient,
} from '../../src/spool/spooled-message.ts'
import { type Disk, realDisk } from '../../src/storage/disk.ts'
import { SimulatedClock } from './simulated-clock.ts'

export function owed(address: string, more: Partial<SpooledRecipient> = {}): SpooledRecipient {
  return {
    address,
    originalRecipient: undefined,
    notify: undefined,
    state: { kind: 'owed', backend: 'fritz', reason: 'fritz cannot be reached' },
    ...more,
  }
}

export function refused(address: string, more: Partial<SpooledRecipient> = {}): SpooledRecipient {
  const state = {
    kind: 'refused',
    backend: 'fritz',
    reply: reply(550, '5.7.1', 'the content is not wanted here'),
  } as const
  return { ...owed(address), state, ...more }
}

export function envelopeOf(
  recipients: readonly SpooledRecipient[],
  more: Partial<SpooledEnvelope> = {},
): SpooledEnvelope {
  return {
    sender: 'sue@example.net',
    body: undefined,
    smtpUtf8: false,
    ret: undefined,
    envelopeId: undefined,
    recipients,
    service: 'smtp',
    session: '1-7',
    peer: '192.0.2.1:4711',
    ...more,
  }
}

export function inMemory(text: string): SpooledContent {
  return { kind: 'memory', parts: [Buffer.from(text, 'latin1')] }
}

/** As the relay keeps a large message: in a file that only it has. */
export function inFile(bytes: Buffer): SpooledContent {
  return {
    kind: 'file',
    lengthBytes: bytes.length,
    file: {
      write: () => Promise.reject(new Error('it is complete')),
      readBack: (position, length) => bytes.subarray(position, position + length),
      sync: () => Promise.resolve(),
      close: () => Promise.resolve(),
    },
  }
}

export const plainMessage = 'From: sue@example.net\r\nSubject: hello\r\n\r\nline\r\n..dot\r\n'

/** No other process is meant. */
export function noLock(): Disposable {
  return { [Symbol.dispose]: () => undefined }
}

export function openStore(disk: Disk, places: SpoolPlaces): Promise<SpoolStore> {
  return SpoolStore.open(disk, places, noLock)
}

export interface TestSpool extends Disposable {
  readonly places: SpoolPlaces
  readonly clock: SimulatedClock
  readonly writer: FileSpoolWriter
  readonly store: SpoolStore
}

/** A spool in a folder of its own, on the real disk by default. */
export async function openSpool(stateDir: string, disk: Disk = realDisk): Promise<TestSpool> {
  const places = spoolPlaces(stateDir)
  const clock = new SimulatedClock()
  const caps = { maxMessages: 1_000_000, maxSizeBytes: Infinity }
  const writer = new FileSpoolWriter({ disk, places, caps, clock })
  const store = await SpoolStore.open(disk, places)
  return { places, clock, writer, store, [Symbol.dispose]: () => store[Symbol.dispose]() }
}

/** All of a message's content. Throws where it is not what was written. */
export async function contentOf(file: MessageFile): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of file.content()) pieces.push(piece)
  return Buffer.concat(pieces).toString('latin1')
}
