/** Config, secrets and map → a plan for `migrateUsers`. */
import type { MailboxDoor } from '../backend/mailbox-access.ts'
import { OutsideDoor } from '../backend/outside-door.ts'
import { systemClock } from '../backend/system-clock.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import { parseWindow, type Window, windowForm } from '../base/window.ts'
import type { BackendConfig, Config } from '../config/config.ts'
import { openMapInForce } from '../map/open.ts'
import { realDisk } from '../storage/disk.ts'
import type { MigrationOptions } from './migrate-user.ts'
import type { UsersPlan } from './migrate-users.ts'
import { moveAfter } from './move-after.ts'
import { openDoor, readSecret } from './open-door.ts'
import { parseSource, readCredentials } from './outside-source.ts'
import { batchesFor } from './plan-messages.ts'
import { refuseDrainingTarget } from './prepare-move.ts'
import { RunLimits } from './run-limits.ts'
import { type MigratingUser, selectUsers, type UserChoice } from './select-users.ts'

/** Folders of one mailbox at a time; each has three connections. */
const mostLanes = 4
/** Connections that add messages, where one for each mailbox is fewer. */
const mostAppends = 6
/** To one server for one mailbox, beside one that compares: Dovecot refuses more than ten. */
const mostConnections = 9

export interface MigrationRequest
  extends Omit<MigrationOptions, 'stateDir' | 'from' | 'to' | 'lanes' | 'appends' | 'batches'> {
  readonly from: Origin
  readonly to: BackendConfig
  /** A file of users or a pattern of their names; everybody without it. */
  readonly users: string | undefined
  readonly jobs: number
  /** Each user is moved when the mailbox is copied; the signal ends that. */
  readonly thenMove: AbortSignal | undefined
  /** What may be taken; that of the config. */
  readonly limits?: RunLimits
  /** As `Window` has them; those of the config where none is given. */
  readonly windows: readonly string[]
  /** False: it ends where it would wait for the next window. */
  readonly waits: boolean
}

/** A back-end, or a server elsewhere with a file of what its users log in with. */
export type Origin =
  | { readonly backend: BackendConfig }
  | { readonly url: string; readonly credentials: string }

/** As the command line has it; `named`: a back-end by its name. Throws USAGE, and what `named` throws. */
export function originOf(
  flags: {
    readonly from?: string | undefined
    readonly source?: string | undefined
    readonly credentials?: string | undefined
  },
  named: (name: string) => BackendConfig,
): Origin {
  const { from, source, credentials } = flags
  if (from !== undefined && source === undefined) return { backend: named(from) }
  if (from === undefined && source !== undefined && credentials !== undefined) {
    return { url: source, credentials }
  }
  throw new MailmuxError('USAGE', 'give --from, or --source with --credentials')
}

/**
 * Throws MOVE_REFUSED, ADMIN_MISSING, SECRET_UNREADABLE, TLS_UNUSABLE, USER_UNKNOWN, USAGE, and
 * what opening the map throws.
 */
export async function prepareMigration(
  config: Config,
  {
    from,
    to,
    users: chosen,
    jobs,
    dryRun,
    thenMove,
    windows,
    waits,
    limits = new RunLimits(config, systemClock, windowsOf(config, { windows, dryRun })),
    ...options
  }: MigrationRequest,
): Promise<UsersPlan> {
  if (thenMove !== undefined) {
    refuseDrainingTarget(to)
    limits.checkRoomForFreeze(config.move.freezeLimitMs)
  }
  const target = await openDoor(config, to)
  const { name, door, users } =
    'url' in from
      ? await openOutside(config, from, chosen)
      : await openBackend(config, from.backend, chosen)
  if (name === to.name) {
    throw new MailmuxError('USAGE', `--from and --to are one back-end, ${name}`)
  }
  // Where there are fewer mailboxes than may be copied at a time, their folders are.
  const lanes = Math.min(mostLanes, Math.max(1, Math.floor(jobs / users.length)))
  const atOnce = Math.min(jobs, users.length)
  const adding = Math.min(Math.floor(mostAppends / atOnce), mostConnections - lanes)
  const appends = Math.max(lanes, adding)
  const batches = batchesFor(appends * atOnce)
  const ways = { lanes, appends, batches }
  const own = { stateDir: config.stateDir, from: name, to: to.name, dryRun, ...ways }
  const doors = {
    source: await limits.through(name, door),
    target: await limits.through(to.name, target),
  }
  const plan = { doors, users, jobs, limits, waits, options: { ...options, ...own } }
  if (thenMove === undefined) return plan
  return { ...plan, andThen: moveAfter(config, { ...options, to, limits }, thenMove) }
}

/** None for who only looks, and copies nothing. Throws USAGE. */
function windowsOf(
  { migrate }: Config,
  { windows: texts, dryRun }: Pick<MigrationRequest, 'windows' | 'dryRun'>,
): readonly Window[] {
  const windows = texts.map((text) => {
    const window = parseWindow(text)
    if (window !== undefined) return window
    throw new MailmuxError('USAGE', `--window ${text}: ${windowForm}`)
  })
  if (dryRun) return []
  return windows.length === 0 ? migrate.windows : windows
}

interface Opened {
  readonly name: string
  readonly door: MailboxDoor
  readonly users: readonly MigratingUser[]
}

async function openBackend(
  config: Config,
  backend: BackendConfig,
  chosen: string | undefined,
): Promise<Opened> {
  const { name } = backend
  const door = await openDoor(config, backend)
  const choice = await choiceOf(chosen)
  const map = openMapInForce(config)
  try {
    return { name, door, users: selectUsers(map, config, name, choice) }
  } finally {
    map.close()
  }
}

async function openOutside(
  { limits, naming }: Config,
  { url, credentials }: { readonly url: string; readonly credentials: string },
  chosen: string | undefined,
): Promise<Opened> {
  if (chosen !== undefined) throw new MailmuxError('USAGE', '--credentials names the users')
  const endpoint = parseSource(url)
  const { users, secrets } = readCredentials(await readSecret(credentials), credentials, naming)
  const door = new OutsideDoor(endpoint, limits, secrets)
  return { name: `${endpoint.host}:${endpoint.port}`, door, users }
}

async function choiceOf(users: string | undefined): Promise<UserChoice> {
  if (users === undefined) return { kind: 'pattern', pattern: undefined }
  try {
    return { kind: 'lines', file: users, text: (await realDisk.read(users)).toString() }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { kind: 'pattern', pattern: users }
    throw new MailmuxError('SECRET_UNREADABLE', `${users}: ${messageOf(error)}`, { cause: error })
  }
}

/** `OLD=NEW` of the command line. Throws USAGE. */
export function parseRenames(texts: readonly string[]): ReadonlyMap<string, string> {
  const renames = new Map<string, string>()
  for (const text of texts) {
    const [, from, to] = /^([^=]+)=([^=]+)$/.exec(text) ?? []
    if (from === undefined || to === undefined) throw noRename(text, 'write OLD=NEW')
    if (renames.has(from)) throw noRename(text, `${from} has another name already`)
    const isTaken = renames.values().some((name) => name === to)
    if (isTaken) throw noRename(text, `another folder is to be ${to} already`)
    renames.set(from, to)
  }
  return renames
}

function noRename(text: string, why: string): MailmuxError {
  return new MailmuxError('USAGE', `--map-folder ${text}: ${why}`)
}
