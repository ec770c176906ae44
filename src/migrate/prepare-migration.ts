/** Config, secrets and map → a plan for `migrateUsers`. */
import { AdminDoor, adminOf } from '../backend/mailbox-access.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { BackendConfig, Config } from '../config/config.ts'
import { openMapInForce } from '../map/open.ts'
import { realDisk } from '../storage/disk.ts'
import type { MigrationOptions } from './migrate-user.ts'
import type { UsersPlan } from './migrate-users.ts'
import { selectUsers, type UserChoice } from './select-users.ts'

/** Folders of one mailbox at a time; each has three connections. */
const mostLanes = 4

export interface MigrationRequest
  extends Omit<MigrationOptions, 'stateDir' | 'from' | 'to' | 'lanes'> {
  readonly from: BackendConfig
  readonly to: BackendConfig
  /** A file of users or a pattern of their names; everybody without it. */
  readonly users: string | undefined
  readonly jobs: number
}

/**
 * Throws ADMIN_MISSING, SECRET_UNREADABLE, TLS_UNUSABLE, USER_UNKNOWN and what opening the map
 * throws.
 */
export async function prepareMigration(
  config: Config,
  { from, to, users, jobs, ...options }: MigrationRequest,
): Promise<UsersPlan> {
  if (from.name === to.name) {
    throw new MailmuxError('USAGE', `--from and --to are one back-end, ${from.name}`)
  }
  const doors = { source: await openDoor(config, from), target: await openDoor(config, to) }
  const choice = await choiceOf(users)
  const map = openMapInForce(config)
  try {
    const selected = selectUsers(map, config, from.name, choice)
    // Where there are fewer mailboxes than may be copied at a time, their folders are.
    const lanes = Math.min(mostLanes, Math.max(1, Math.floor(jobs / selected.length)))
    const names = { stateDir: config.stateDir, from: from.name, to: to.name }
    return { doors, users: selected, jobs, options: { ...options, ...names, lanes } }
  } finally {
    map.close()
  }
}

async function openDoor({ limits }: Config, backend: BackendConfig): Promise<AdminDoor> {
  const { passwordFile } = adminOf(backend)
  const password = (await readSecret(passwordFile)).replace(/\r?\n$/, '')
  if (password === '') throw new MailmuxError('SECRET_UNREADABLE', `${passwordFile}: it is empty`)
  const { tlsCaFile } = backend
  const authorities = tlsCaFile === undefined ? undefined : await readSecret(tlsCaFile)
  return new AdminDoor(backend, limits, { password, authorities })
}

async function readSecret(path: string): Promise<string> {
  try {
    return (await realDisk.read(path)).toString()
  } catch (error) {
    throw new MailmuxError('SECRET_UNREADABLE', `${path}: ${messageOf(error)}`, { cause: error })
  }
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
  return new Map(
    texts.map((text) => {
      const [, from, to] = /^([^=]+)=([^=]+)$/.exec(text) ?? []
      if (from !== undefined && to !== undefined) return [from, to] as const
      throw new MailmuxError('USAGE', `--map-folder ${text}: write OLD=NEW`)
    }),
  )
}
