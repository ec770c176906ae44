/**
 * A life of a spool that is killed at the N-th call of the disk: FOLDER N. Prints a line for each
 * promise that it has made: `accepted ID`, `final ID INDEX`.
 */
import { writeSync } from 'node:fs'
import { FileSpoolWriter } from '../../src/spool/file-spool-writer.ts'
import { spoolPlaces } from '../../src/spool/spool-places.ts'
import { SpoolStore } from '../../src/spool/spool-store.ts'
import { InterruptedDisk } from './interrupted-disk.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { envelopeOf, inFile, inMemory, owed, plainMessage } from './spool.ts'

const [, , folder = '', killAt = ''] = process.argv
const disk = new InterruptedDisk(Number(killAt), 'killed')
const places = spoolPlaces(folder)
const caps = { maxMessages: 10, maxSizeBytes: 1 << 30 }
const writer = new FileSpoolWriter({ disk, places, caps, clock: new SimulatedClock() })
const say = (line: string): void => void writeSync(1, `${line}\n`)
const outcome = { backend: 'fritz', code: 250, status: '2.0.0', text: 'ok' } as const

const envelope = envelopeOf([owed('ann@example.com'), owed('ida@example.com')])
const ids: string[] = []
for (const content of [inMemory(plainMessage), inFile(Buffer.from(plainMessage))]) {
  const id = await writer.accept(envelope, content)
  ids.push(id)
  say(`accepted ${id}`)
}
using store = await SpoolStore.open(disk, places)
for (const id of ids) {
  const file = await store.open(id)
  for (const index of [0, 1]) {
    await file.append({ do: 'attempt', at: 1 }, 'lazy')
    await file.append(
      {
        do: 'outcomes',
        at: 1,
        outcomes: [{ ...outcome, recipients: [index], result: 'delivered' }],
      },
      'durable',
    )
    say(`final ${id} ${index}`)
  }
  await file.close()
  await store.remove(id)
}
say('end')
