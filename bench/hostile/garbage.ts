/** A flood of connections that mean nothing, and the logins of others meanwhile. */
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { median } from '../rig/median.ts'
import { loading, openRig } from '../rig/rig.ts'
import { Site } from './site.ts'

export interface Flood {
  /** Connections in a second. */
  readonly rate: number
  readonly seconds: number
}

export async function measureGarbage(flood: Flood, say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  await using site = await Site.start(rig)
  const before = await site.calmP99()
  const { imap, pop3, sieve, smtp, imaps } = site.ports
  const ports = [imap, pop3, sieve, smtp, imaps].join(',')
  const args = ['-p', ports, '-r', `${flood.rate}`, '-s', `${flood.seconds}`]
  const [startedAt, lines, earlier] = [performance.now(), site.lines, new Map(site.counts)]
  const sent = loading(args, 'garbage')
  const isOver = async (): Promise<boolean> =>
    Promise.race([sent.then(() => true), setImmediate(false)])
  const mib: number[] = []
  const p99s: number[] = []
  while (!(await isOver())) {
    const p99 = await site.goodP99()
    if (await isOver()) break
    p99s.push(p99)
    mib.push(site.residentMib)
    await Promise.race([sent, delay(Math.min(10_000, flood.seconds * 50))])
  }
  const { done = 0, per_s: rate = 0, failed = 0, most_open: most = 0 } = await sent
  const seconds = (performance.now() - startedAt) / 1000
  say(`${done} connections of garbage, ${rate} a second (${flood.rate} wanted), ${failed} failed`)
  say(`  at most ${most} at once; refused: ${JSON.stringify(await site.refused())}`)
  const during = median(p99s)
  say(
    `  p99 of logins: ${before.toFixed(1)} ms, then ${during.toFixed(1)} ms (median of ${p99s.length},` +
      ` at most ${Math.max(...p99s).toFixed(1)}): ${(during / before).toFixed(2)} times`,
  )
  say(`  worker, MiB: ${mib.map((size) => size.toFixed(0)).join(' ')}`)
  const perSecond = (count: number): string => (count / seconds).toFixed(1)
  const added = [...site.counts].map(([of, count]) => [of, count - (earlier.get(of) ?? 0)] as const)
  const kinds = added.filter(([, count]) => count > seconds / 10)
  const byKind = kinds.map(([event, count]) => `${event} ${perSecond(count)}`).join(', ')
  say(`  lines of log a second: ${perSecond(site.lines - lines)} (${byKind})`)
  say(`  workers that ended: ${site.count('worker.exited')}; internal: ${site.count('internal')}`)
}
