/** Kills at random, for as long as messages are sent: back-ends, workers, the queue, all of it; restarts. */
import { setTimeout as delay } from 'node:timers/promises'
import {
  Life,
  type Logged,
  type RecordingBackend,
  restart,
  type SiteOptions,
  writeConfig,
} from './site.ts'

/** How often each is chosen, of 100. */
const shares = { backend: 46, hold: 10, worker: 20, queue: 12, daemon: 8, restart: 4 } as const
export type Victim = keyof typeof shares

const pauseMs = 1_200
const holdMs = 4_000

export interface Kill {
  readonly victim: Victim
  /** Monotonic. */
  readonly at: number
}

export class Faults {
  readonly kills: Kill[] = []
  life: Life
  readonly #site: SiteOptions
  readonly #backends: readonly RecordingBackend[]
  readonly #random: () => number
  readonly #heard: (line: Logged, life: Life) => void
  #isStopped = false
  #lives = 1

  constructor(
    site: SiteOptions,
    {
      backends,
      random,
      life,
      heard,
    }: {
      readonly backends: readonly RecordingBackend[]
      readonly random: () => number
      readonly life: Life
      readonly heard: (line: Logged, life: Life) => void
    },
  ) {
    this.#site = site
    this.#backends = backends
    this.#random = random
    this.life = life
    this.#heard = heard
  }

  /** Returns when the last thing that was killed is there again. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      await delay(pauseMs * 2 * this.#random())
      if (!this.#isStopped) await this.#strike()
    }
    await delay(holdMs)
    for (const backend of this.#backends) backend.start()
  }

  stop(): void {
    this.#isStopped = true
  }

  async #strike(): Promise<void> {
    const victim = this.#choose()
    const backend = this.#backends[Math.floor(this.#random() * this.#backends.length)]
    if (backend === undefined) return
    if (victim === 'backend') void this.#restart(backend, 300 + this.#random() * 1_500)
    else if (victim === 'hold') void this.#hold(backend)
    else if (victim === 'daemon') await this.#anew()
    else if (victim === 'restart') await restart(this.#site)
    else {
      const alive = [...(victim === 'queue' ? this.life.queues : this.life.workers).values()]
      const pid = alive[Math.floor(this.#random() * alive.length)]
      if (pid === undefined || !kill(pid)) return
    }
    this.kills.push({ victim, at: performance.now() })
  }

  #choose(): Victim {
    let rest = this.#random() * 100
    for (const [victim, share] of Object.entries(shares)) {
      rest -= share
      if (rest < 0) return victim as Victim
    }
    return 'backend'
  }

  async #restart(backend: RecordingBackend, afterMs: number): Promise<void> {
    backend.signal('SIGKILL')
    await delay(afterMs)
    backend.start()
  }

  /** Longer than its verdict is waited for. */
  async #hold(backend: RecordingBackend): Promise<void> {
    backend.signal('SIGSTOP')
    await delay(holdMs)
    backend.signal('SIGCONT')
  }

  async #anew(): Promise<void> {
    this.life.signal('SIGKILL')
    await this.life.exited
    writeConfig(this.#site, this.#lives++ % 2 === 0 ? 'answer' : 'spool')
    this.life = await Life.begin(this.#site, this.#heard)
  }
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
    return false
  }
}
