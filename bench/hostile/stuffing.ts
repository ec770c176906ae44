/**
 * Passwords that somebody has found elsewhere, tried with ten thousand names from thousands of addresses,
 * and the logins of others meanwhile.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { median } from '../rig/median.ts'
import { openRig } from '../rig/rig.ts'
import { startJudging } from './back-end.ts'
import { type Client, close, heard, open } from './client.ts'
import { Site } from './site.ts'

const names = 10_000
const addresses = 5_000
const atOnce = 400

/** Of twenty networks of 256 addresses, none of which others have. */
function addressOf(number: number): string {
  const at = number % addresses
  return `127.20.${Math.floor(at / 250)}.${1 + (at % 250)}`
}

async function tryOne(port: number, number: number): Promise<string> {
  const client: Client = await open(port, addressOf(number))
  client.socket.write(`a LOGIN user${number}@example.com wrong${number}\r\n`)
  await heard(client, /^a .*\r\n/m)
  close([client])
  return /^a (.*)\r\n/m.exec(client.text)?.[1] ?? 'nothing'
}

export async function measureStuffing(say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  using judging = await startJudging()
  const limits = 'exempt: []'
  await using site = await Site.start(rig, { limits, users: names, imapPort: judging.port })
  const calm = await site.calmP99()
  const beforeMib = site.residentMib
  const answers = new Map<string, number>()
  const startedAt = performance.now()
  let next = 0
  const over = new AbortController()
  const attack = async (): Promise<void> => {
    while (next < names) {
      const text = await tryOne(site.ports.imap, next++).catch(() => 'no connection')
      answers.set(text, (answers.get(text) ?? 0) + 1)
    }
  }
  const attacking = Promise.all(Array.from({ length: atOnce }, attack)).finally(() => over.abort())
  const p99s: number[] = []
  while (!over.signal.aborted) {
    p99s.push(await site.goodP99())
    await delay(200)
  }
  await attacking
  const seconds = (performance.now() - startedAt) / 1000
  const during = median(p99s)
  say(
    `${names} names, a wrong password each, from ${addresses} addresses in ${seconds.toFixed(0)} s`,
  )
  for (const [text, count] of answers) say(`  ${count} times: ${text}`)
  say(`  alarms: ${site.count('login.alarm')}`)
  say(
    `  p99 of logins: ${calm.toFixed(1)} ms, then ${during.toFixed(1)} ms` +
      ` (median of ${p99s.length}): ${(during / calm).toFixed(2)} times`,
  )
  say(`  worker: ${beforeMib.toFixed(0)} MiB, then ${site.residentMib.toFixed(0)} MiB`)
}
