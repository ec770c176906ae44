/**
 * A back-end that takes connections and says nothing, while its users go on trying, and the logins of
 * those who live on another.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { median } from '../rig/median.ts'
import { openRig } from '../rig/rig.ts'
import { type Client, close, heard, open } from './client.ts'
import { Site, usersOfFritz } from './site.ts'

const atOnce = 200
const rounds = 15

async function tryOnce(port: number, number: number): Promise<string> {
  const client: Client = await open(port)
  client.socket.write(`a LOGIN user${usersOfFritz + (number % 100)}@example.com secret\r\n`)
  await heard(client, /^a .*\r\n/m)
  close([client])
  return /^a (\S+ \S+)/m.exec(client.text)?.[1] ?? 'nothing'
}

export async function measureSilent(say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  const silent = createServer((socket) => socket.on('error', () => undefined).resume())
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port: ingridPort } = silent.address() as AddressInfo
  const limits = 'login_timeout: 5s'
  await using site = await Site.start(rig, { limits, ingridPort })
  const calm = await site.calmP99()
  const answers = new Map<string, number>()
  const over = new AbortController()
  const goOn = async (first: number): Promise<void> => {
    for (let number = first; !over.signal.aborted; number += atOnce) {
      const text = await tryOnce(site.ports.imap, number).catch(() => 'no connection')
      answers.set(text, (answers.get(text) ?? 0) + 1)
    }
  }
  const trying = Promise.all(Array.from({ length: atOnce }, (_, first) => goOn(first)))
  const p99s: number[] = []
  for (let round = 0; round < rounds; round++) p99s.push(await site.goodP99())
  over.abort()
  await trying
  silent.close()
  say(`a back-end that is silent, of two; ${atOnce} of its users try again and again`)
  for (const [text, count] of answers) say(`  ${count} times: ${text}`)
  const during = median(p99s)
  say(
    `  p99 of logins at the other: ${calm.toFixed(1)} ms, then ${during.toFixed(1)} ms` +
      ` (median of ${rounds}): ${(during / calm).toFixed(2)} times`,
  )
  const { backends } = await site.status()
  for (const { backend, protocols } of backends) {
    const imap = protocols.find(({ protocol }) => protocol === 'imap')
    say(`  ${backend}: ${imap?.state}`)
  }
}
