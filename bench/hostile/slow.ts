/** Clients that say an octet each ten seconds and never log in, and the logins of others meanwhile. */
import { setTimeout as delay } from 'node:timers/promises'
import { median } from '../rig/median.ts'
import { openRig } from '../rig/rig.ts'
import { type Client, close, isOpen, openMany } from './client.ts'
import { Site } from './site.ts'

const clients = 5_000
const everyMs = 10_000
const mostMs = 90_000
const earlySeconds = 20

/** `limits` of the config. */
export async function measureSlow(limits: string, say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  await using site = await Site.start(rig, { limits })
  const before = await site.calmP99()
  const beforeMib = site.residentMib
  const all = await openMany(site.ports.imap, clients)
  const p99s: number[] = []
  const dripping = drip(all)
  while (all.some(isOpen)) {
    p99s.push(await site.goodP99())
    await delay(2000)
  }
  await dripping
  const ages = all.map(({ openedAt, closedAt = Number.NaN }) => (closedAt - openedAt) / 1000)
  const told = all.filter(({ text }) => text.includes('* BYE ')).length
  const early = ages.filter((age) => age < earlySeconds).length
  const during = median(p99s)
  say(`${clients} clients, an octet each ${everyMs / 1000} s; limits: {${limits}}`)
  say(`  gone after ${Math.min(...ages).toFixed(1)} to ${Math.max(...ages).toFixed(1)} s`)
  say(`  ${early} of them within ${earlySeconds} s; told so: ${told}`)
  say(`  refused: ${JSON.stringify(await site.refused())}`)
  say(
    `  p99 of logins: ${before.toFixed(1)} ms, then ${during.toFixed(1)} ms` +
      ` (median of ${p99s.length}): ${(during / before).toFixed(2)} times`,
  )
  say(`  worker: ${beforeMib.toFixed(0)} MiB, then ${site.residentMib.toFixed(0)} MiB`)
  say(`  workers that ended: ${site.count('worker.exited')}`)
}

/** Until all have gone, or have been there for too long. */
async function drip(all: readonly Client[]): Promise<void> {
  const startedAt = performance.now()
  while (all.some(isOpen) && performance.now() - startedAt < mostMs) {
    for (const { socket } of all) if (socket.writable) socket.write('a')
    for (let waited = 0; waited < everyMs && all.some(isOpen); waited += 500) await delay(500)
  }
  close(all)
}
