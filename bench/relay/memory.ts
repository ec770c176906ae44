/**
 * What two workers hold while many senders push 50 MB each at once. In the middle the back-end stands
 * still for some seconds: whoever does not stop reading then fills up with what nobody takes.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { loading, openRig, stop, useOf } from '../rig/rig.ts'
import { startMailmux } from './targets.ts'

const kib = 48_828
const everyMs = 1000
const stillMs = 8000

export async function measureMemory(senders: number, say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  const child = await startMailmux(rig, 2)
  const pid = child.pid ?? 0
  const rss = (): number => useOf(pid).rss_kb / 1024
  try {
    await loading(['smtp', '-p', `${rig.proxy.smtp}`, '-k', '4', '-n', '2000', '-c', '16'])
    const idle = rss()
    say(
      `${senders} senders of 50 MB through 2 workers; idle, all processes: ${idle.toFixed(0)} MiB`,
    )
    const size = ['-k', `${kib}`, '-n', `${senders}`, '-c', `${senders}`, '-e', '600']
    const load = loading(['smtp', '-p', `${rig.proxy.smtp}`, ...size])
    const standStill = halt(rig.backend.pid)
    const samples = await sampled(load, rss)
    const { secs = 0 } = await load
    await standStill
    const line = samples.map((sample) => sample.toFixed(0)).join(' ')
    say(`  RSS each second, MiB: ${line}`)
    const most = Math.max(...samples) - idle
    const total = (senders * kib) / 1024
    say(
      `  at most ${most.toFixed(0)} MiB over idle, for ${total.toFixed(0)} MiB in ${secs.toFixed(0)} s`,
    )
  } finally {
    await stop(child)
  }
}

/** A figure each second until the promise is settled; throws what it rejects with. */
async function sampled(end: Promise<unknown>, take: () => number): Promise<readonly number[]> {
  const samples: number[] = []
  const ended = end.then(() => true)
  while (!(await Promise.race([delay(everyMs, false), ended]))) samples.push(take())
  return samples
}

/** From the third second on. */
async function halt(pid: number): Promise<void> {
  await delay(3000)
  try {
    process.kill(pid, 'SIGSTOP')
    await delay(stillMs)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}
