/**
 * What a message to three recipients at three back-ends costs beside one to one recipient: both
 * through the same daemon, in turn. The three are one stand-in, which the relay does not know.
 */
import { median } from '../rig/median.ts'
import { load, openRig, type Rig, stop, useOf } from '../rig/rig.ts'
import { allStored } from './stored.ts'
import { startMailmux } from './targets.ts'

const backends = ['fritz', 'ingrid', 'otto']
/** Recipients of a message are neighbours, so each is at another back-end. */
const users = 999
const messages = 10_000
const connections = 16

interface Load {
  readonly rig: Rig
  /** Of mailmux, with its workers. */
  readonly pid: number
  readonly kib: number
}

/** Counts what the back-ends have, over all runs. */
class Course {
  readonly #load: Load
  #stored = 0

  constructor(toMeasure: Load) {
    this.#load = toMeasure
  }

  /** Microseconds of processor time for each message. */
  async run(count: number, recipients: number): Promise<number> {
    const { rig, pid, kib } = this.#load
    const before = useOf(pid).cpu_us
    const size = ['-k', `${kib}`, '-n', `${count}`, '-M', `${recipients}`]
    const clients = ['-c', `${connections}`, '-u', `${users}`]
    load(['smtp', '-p', `${rig.proxy.smtp}`, ...clients, ...size])
    this.#stored += count * recipients
    await allStored(rig, this.#stored)
    return (useOf(pid).cpu_us - before) / count
  }
}

export async function measureFanOut(
  kib: number,
  { pairs, scale }: { readonly pairs: number; readonly scale: number },
  say: (line: string) => void,
): Promise<void> {
  await using rig = await openRig()
  const child = await startMailmux(rig, 1, backends)
  try {
    const course = new Course({ rig, pid: child.pid ?? 0, kib })
    const count = Math.ceil(messages * scale)
    for (const recipients of [1, 3]) await course.run(2 * count, recipients)
    const [one, three]: [number[], number[]] = [[], []]
    for (let pair = 0; pair < pairs; pair++) {
      one.push(await course.run(count, 1))
      three.push(await course.run(count, backends.length))
    }
    const ratios = three.map((cost, pair) => cost / (one[pair] ?? Number.NaN))
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)]
    const range = `${median(ratios).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
    say(`${kib} KiB to three recipients at three back-ends, beside one at one; ${pairs} pairs`)
    say(`  ${median(three).toFixed(0)} and ${median(one).toFixed(0)} CPU µs: ${range}`)
  } finally {
    await stop(child)
  }
}
