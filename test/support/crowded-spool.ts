/** FOLDER BYTES: takes messages of that size into a spool until there is no room; prints what came of it. */
import { readdirSync } from 'node:fs'
import type { MailmuxError } from '../../src/base/error.ts'
import { RoomWatch } from '../../src/storage/room-watch.ts'
import { meaningOf } from '../../src/spool/spool-places.ts'
import { contentOf, envelopeOf, inFile, inMemory, openSpool, owed } from './spool.ts'

const [, , folder = '', bytes = ''] = process.argv
using spool = await openSpool(folder)
const text = 'x'.repeat(Number(bytes))
const envelope = envelopeOf([owed('ann@example.com')])
const ids: string[] = []
const codes: string[] = []
const room = new RoomWatch(folder)
await room.look()
const isShort = [room.isShort]
while (codes.length < 4) {
  const content = ids.length % 2 === 0 ? inMemory(text) : inFile(Buffer.from(text))
  await spool.writer.accept(envelope, content).then(
    (id) => ids.push(id),
    ({ code }: MailmuxError) => codes.push(code),
  )
}
await room.look()
isShort.push(room.isShort)
let whole = 0
for (const id of ids) {
  const file = await spool.store.open(id)
  if ((await contentOf(file)) === text) whole++
  await file.close()
}
const names = readdirSync(spool.places.directory).filter(
  (name) => !ids.includes(name.replace('.msg', '')) && meaningOf(name).kind !== 'own',
)
await spool.store.remove(ids[0] ?? '')
const afterRoom = await spool.writer.accept(envelope, inMemory(text)).then(
  () => 'accepted',
  ({ code }: MailmuxError) => code,
)
process.stdout.write(
  JSON.stringify({ codes, accepted: ids.length, whole, names, isShort, afterRoom }),
)
