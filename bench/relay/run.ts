/**
 * mailmux as a relay beside others on this machine, in turn, in one run: processor time and rate for
 * each message, medians, and the pairwise ratios with their range. Then the memory of two workers while
 * many senders push large messages at once. Ratios of one run are what can be carried elsewhere.
 *
 *   node bench/relay/run.ts [--pairs N] [--scale F] [--peers a,b] [--senders N] [WORKLOAD…]
 */
import { parseArgs } from 'node:util'
import { median } from '../rig/median.ts'
import { load, openRig, type Rig, stop, useOf } from '../rig/rig.ts'
import { measureFanOut } from './fan-out.ts'
import { measureMemory } from './memory.ts'
import { allStored } from './stored.ts'
import { mailmux, peers, type Target } from './targets.ts'

interface Workload {
  readonly what: string
  readonly kib: number
  readonly messages: number
  readonly connections: number
  /** One connection for each message. */
  readonly isNew: boolean
}

interface Measured {
  /** Microseconds of processor time for each message. */
  readonly cpu: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

const workloads: Readonly<Record<string, Workload>> = {
  '4k-kept': workload('4 KiB, kept connections', 4, 20_000, false),
  '64k-kept': workload('64 KiB, kept connections', 64, 10_000, false),
  '4k-new': workload('4 KiB, a connection each', 4, 8000, true),
  '64k-new': workload('64 KiB, a connection each', 64, 6000, true),
  '50m': { ...workload('50 MB, 4 connections', 48_828, 40, false), connections: 4 },
}

function workload(what: string, kib: number, messages: number, isNew: boolean): Workload {
  return { what, kib, messages, connections: 16, isNew }
}

function argumentsFor(rig: Rig, work: Workload, messages: number): string[] {
  const { kib, connections, isNew } = work
  const common = ['smtp', '-p', `${rig.proxy.smtp}`, '-k', `${kib}`, '-c', `${connections}`]
  return [...common, '-n', `${messages}`, ...(isNew ? ['-r', '1'] : [])]
}

/** Throws where the back-end has another number of messages than were sent. */
async function measureOnce(target: Target, work: Workload, scale: number): Promise<Measured> {
  await using rig = await openRig()
  const child = await target.start(rig)
  const pid = child.pid ?? 0
  const isLarge = work.kib > 1000
  try {
    const share = isLarge ? Math.max(target.share, 0.2) : target.share
    const messages = Math.max(work.connections, Math.ceil(work.messages * share * scale))
    // Three times as many before: a daemon runs for months, and compiles what it runs often.
    const warm = isLarge ? work.connections : 3 * messages
    load(argumentsFor(rig, work, warm))
    await allStored(rig, warm)
    const before = useOf(pid).cpu_us
    const report = load(argumentsFor(rig, work, messages))
    await allStored(rig, warm + messages)
    const { per_s: perSecond = 0, p50_us: p50 = 0, p99_us: p99 = 0 } = report
    return { cpu: (useOf(pid).cpu_us - before) / messages, perSecond, p50, p99 }
  } finally {
    await stop(child)
  }
}

async function compare(name: string, targets: readonly Target[], options: Options): Promise<void> {
  const work = workloads[name]
  if (work === undefined) throw new Error(`no such workload: ${name}; known: ${known.join(' ')}`)
  say(work.what)
  const rounds: Map<Target, Measured>[] = []
  for (let pair = 0; pair < options.pairs; pair++) {
    const round = new Map<Target, Measured>()
    for (const target of targets) {
      try {
        round.set(target, await measureOnce(target, work, options.scale))
      } catch (error) {
        say(`  ${target.name} failed: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    rounds.push(round)
  }
  for (const target of targets) {
    const all = rounds.flatMap((round) => round.get(target) ?? [])
    if (all.length === 0) continue
    const ratios = rounds.flatMap((round) => {
      const [ours, theirs] = [round.get(mailmux), round.get(target)]
      return ours === undefined || theirs === undefined ? [] : [ours.cpu / theirs.cpu]
    })
    const of = (key: keyof Measured): number => median(all.map((measured) => measured[key]))
    const mebibytes = (of('perSecond') * work.kib) / 1024
    const rate =
      work.kib > 1000 ? `${mebibytes.toFixed(0)} MiB/s` : `${of('perSecond').toFixed(0)}/s`
    const columns = [
      `  ${target.name}`.padEnd(17),
      `${of('cpu').toFixed(0)} CPU µs`.padEnd(18),
      rate.padEnd(13),
      `${(of('p50') / 1000).toFixed(1)} / ${(of('p99') / 1000).toFixed(1)} ms`.padEnd(18),
      target === mailmux ? '' : `mailmux ÷ it: ${range(ratios)}`,
    ]
    say(columns.join('').trimEnd())
  }
}

function range(ratios: readonly number[]): string {
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)]
  return `${median(ratios).toPrecision(2)} (${low.toPrecision(2)}–${high.toPrecision(2)})`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

interface Options {
  readonly pairs: number
  readonly scale: number
}

const { values, positionals } = parseArgs({
  options: {
    pairs: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    peers: { type: 'string' },
    senders: { type: 'string', default: '200' },
  },
  allowPositionals: true,
})
const options = { pairs: Number(values.pairs), scale: Number(values.scale) }
const known = [...Object.keys(workloads), 'fan-out', 'memory']
const chosen = values.peers?.split(',')
const here = peers.filter(({ name, missing }) => {
  if (chosen?.includes(name) === false) return false
  const reason = missing()
  if (reason !== undefined) say(`${name} is left out: ${reason}`)
  return reason === undefined
})
const names = positionals.length === 0 ? known : positionals
say(`mailmux beside its peers, ${options.pairs} rounds; CPU and ratio: less is better`)
for (const name of names) {
  if (name === 'memory') await measureMemory(Number(values.senders), say)
  else if (name === 'fan-out') for (const kib of [4, 64]) await measureFanOut(kib, options, say)
  else await compare(name, [mailmux, ...here], options)
}
