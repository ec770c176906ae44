/**
 * A site in which users move, all of whose own parts are real: the command, its journal, the map and
 * its sources, in a folder that is put back for each world. Only the world around it is simulated.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { namedBackend } from '../../src/config/named-backend.ts'
import { buildMap } from '../../src/map/build.ts'
import { homeOf } from '../../src/map/edit/flip-user.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { type Move, MoveJournal } from '../../src/map/state/move-journal.ts'
import { State } from '../../src/map/state/state.ts'
import { sweepMoves, type SettledMove } from '../../src/migrate/list-moves.ts'
import { type MoveReport, moveUser } from '../../src/migrate/move-user.ts'
import { userNamed } from '../../src/migrate/prepare-move.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import { type Random, randomOf } from './random.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedDaemon } from './simulated-daemon.ts'
import { type HostName, SimulatedHost } from './simulated-host.ts'
import { live } from './simulated-life.ts'
import type { Plan } from './simulated-plan.ts'
import { Turns } from './simulated-turns.ts'
import { World } from './simulated-world.ts'

export const user = 'ann@example.com'

/** Fast, where there is such a thing. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** What goes on while the mover waits. */
const ticksOfWait = 3

export interface Outcome {
  readonly report?: MoveReport
  readonly error?: unknown
}

export class SimulatedSite implements AsyncDisposable {
  readonly #dir: string
  readonly #config: Config
  readonly #turns: Turns
  readonly #hosts: Readonly<Record<HostName, SimulatedHost>>
  readonly #daemon: SimulatedDaemon
  #clock = new SimulatedClock()
  #chance: Random = () => 0
  world!: World

  private constructor(dir: string, config: Config, turns: Turns, hosts: SimulatedSite['hosts']) {
    this.#dir = dir
    this.#config = config
    this.#turns = turns
    this.#hosts = hosts
    this.#daemon = new SimulatedDaemon(config.runDir, turns)
  }

  static async start(): Promise<SimulatedSite> {
    const dir = mkdtempSync(join(place, 'mailmux-simulated-'))
    const turns = new Turns()
    const fritz = await SimulatedHost.start('fritz', turns)
    const ingrid = await SimulatedHost.start('ingrid', turns)
    mkdirSync(join(dir, 'run'))
    writeFileSync(join(dir, 'secret'), 'secret\n')
    const now = join(dir, 'now')
    mkdirSync(now)
    writeFileSync(join(now, 'user_map'), `# people\n${user}\tfritz\nbob@example.com\tingrid\n`)
    const file = join(dir, 'mailmux.yaml')
    writeFileSync(file, configOf(fritz.port, ingrid.port))
    const { config } = await loadConfig(file)
    await buildMap(config)
    cpSync(now, join(dir, 'first'), { recursive: true })
    return new SimulatedSite(dir, config, turns, { fritz, ingrid })
  }

  get hosts(): Readonly<Record<HostName, SimulatedHost>> {
    return this.#hosts
  }

  get daemon(): SimulatedDaemon {
    return this.#daemon
  }

  /** Everything is as it was first, in another world. `changes`: what is not the seed's. */
  async begin(seed: number, changes?: Partial<Plan>): Promise<World> {
    const now = join(this.#dir, 'now')
    rmSync(now, { recursive: true })
    cpSync(join(this.#dir, 'first'), now, { recursive: true })
    this.#clock = new SimulatedClock()
    this.#chance = randomOf(-seed)
    await this.#daemon.stop()
    const world = new World(seed, { hosts: this.#hosts, daemon: this.#daemon }, changes)
    this.world = world
    this.#turns.begin(world.random)
    for (const host of Object.values(this.#hosts)) {
      const { name } = host
      const [mailbox, traits] = [world.mailboxes[name], world.traitsOf(name)]
      host.begin({ mailbox, traits, watcher: world.watcherOf(name), judge: world })
    }
    await this.#daemon.begin(world)
    return world
  }

  /** The command is run once, to its end, whatever that is. */
  async move(to: HostName, order: 'begun' | 'aborted'): Promise<Outcome> {
    const { world } = this
    const ending = new AbortController()
    const from = to === 'fritz' ? 'ingrid' : 'fritz'
    world.begin({ from, to, ending, isDead: false })
    const config = this.#configNow
    using limits = new RunLimits(config, this.#clock)
    const merge = world.plan.isMerged
    const asked = { user, to: namedBackend(config, to), order, merge, maxBad: 0, limits } as const
    const listener = {
      step: ({ step, details }: Move) => {
        world.isFlipping = step === 'flipping'
        world.note(`step ${step} ${details.error?.message ?? ''}`)
      },
      progress: () => undefined,
      note: (text: string) => world.note(`note ${text}`),
    }
    try {
      live(world)
      const report = await this.#during(moveUser(config, asked, listener, ending.signal))
      return world.isOver ? {} : { report }
    } catch (error) {
      return { error }
    } finally {
      live(undefined)
      for (const host of Object.values(this.#hosts)) host.cut(() => world.random() < 0.5)
      world.end()
    }
  }

  /** What `user moves --sweep` does. */
  async sweep(): Promise<SettledMove[]> {
    const { world } = this
    const ending = new AbortController()
    const to = world.home
    world.begin({ from: to === 'fritz' ? 'ingrid' : 'fritz', to, ending, isDead: false })
    const swept = await this.#during(sweepMoves(this.#configNow, ending.signal))
    world.end()
    return swept
  }

  /** Where the map in force says that the user lives. */
  get home(): string {
    const config = this.#config
    const map = openMapInForce(config, undefined, 'few questions')
    try {
      return homeOf(map, config, userNamed(user, config)).backend
    } finally {
      map.close()
    }
  }

  async lastMove(): Promise<Move | undefined> {
    using journal = await MoveJournal.open(this.#config.stateDir)
    return journal.lastOf(user)
  }

  /** UIDs that the journal names, by the names of folders at the target. */
  async rows(
    source: HostName,
    target: HostName,
  ): Promise<ReadonlyMap<string, ReadonlySet<number>>> {
    using journal = await CopyJournal.open(this.#config.stateDir)
    const folders = journal.folders(journal.mailbox({ user, source, target }))
    return new Map(
      folders.map((folder) => [folder.targetName, new Set(journal.targetUids(folder))]),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]()
    for (const host of Object.values(this.#hosts)) await host[Symbol.asyncDispose]()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  async #during<Result>(work: Promise<Result>): Promise<Result> {
    const { world } = this
    // Whoever is refused waits for a while that has some chance in it: the seed's, too.
    const { random } = Math
    Math.random = this.#chance
    try {
      return await this.#turns.during(work, this.#clock, async () => {
        if (!world.isOver) await world.rest(ticksOfWait)
      })
    } finally {
      Math.random = random
    }
  }

  /** Administrators log in as the back-ends of this world have it. */
  get #configNow(): Config {
    const backends = [...this.#config.backends].map(([name, backend]) => {
      const { style } = this.world.traitsOf(name as HostName)
      const admin = backend.admin && { ...backend.admin, style }
      return [name, { ...backend, admin }] as const
    })
    return { ...this.#config, backends: new Map(backends) }
  }
}

const putInForce = Reflect.get(State.prototype, 'putInForce')

/** Tells the world of the transaction in which the user gets another home. */
export function watchFlips(worldNow: () => World): void {
  State.prototype.putInForce = function (...args) {
    const world = worldNow()
    world.flipsTo = world.mover?.to
    try {
      putInForce.apply(this, args)
    } finally {
      world.flipsTo = undefined
    }
  }
}

function backend(port: number): string {
  return `{host: 127.0.0.1, imap: ${port}, lmtp: 24, admin: {user: mailmux, password_file: secret}}`
}

function configOf(fritz: number, ingrid: number): string {
  return `hostname: mx.example.com
domains: [example.com]
state_dir: now/state
run_dir: run
backends:
  fritz: ${backend(fritz)}
  ingrid: ${backend(ingrid)}
map: {user_map: now/user_map}
listen: {smtp: ["127.0.0.1:0"]}
`
}
