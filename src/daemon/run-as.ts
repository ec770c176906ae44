/**
 * Whom workers run as. Where root starts the daemon, its first process stays root, to bind ports and
 * read keys also at a reload, and touches no client; workers, which do, are started as the user of
 * the config, else as `mailmux` where there is one. They belong to that user's group, or to the one of
 * the config, and to no other.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { userInfo } from 'node:os'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { EventFields } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { realDisk } from '../storage/disk.ts'
import { giveDirectory, refuseOpenDirectory } from '../storage/private-directory.ts'

/** Somebody else than who started the daemon. */
export interface RunAs {
  readonly user: string
  readonly uid: number
  readonly gid: number
}

const usualUser = 'mailmux'

export interface FoundUser {
  /** Undefined where workers run as this process does. */
  readonly runAs: RunAs | undefined
  /** That this is not what was meant. */
  readonly kept?: EventFields['daemon.user_kept']
}

/** Throws USER_UNUSABLE where there is no such user or group. */
export function findRunAs({ user, group }: Pick<Config, 'user' | 'group'>): FoundUser {
  const own = { uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 }
  if (own.uid !== 0 && user === undefined && group === undefined) return { runAs: undefined }
  const found = user === undefined ? findAccount('passwd', usualUser) : accountOf('passwd', user)
  const gid = group === undefined ? found?.gid : accountOf('group', group).id
  if (own.uid !== 0) {
    const isUser = user === undefined || found?.id === own.uid
    const isGroup = group === undefined || gid === own.gid
    return isUser && isGroup ? { runAs: undefined } : kept('not_root')
  }
  if (found === undefined || gid === undefined) return kept('no_user')
  return { runAs: found.id === 0 ? undefined : { user: found.name, uid: found.id, gid } }
}

function kept(reason: EventFields['daemon.user_kept']['reason']): FoundUser {
  return { runAs: undefined, kept: { user: nameOfSelf(), reason } }
}

interface Account {
  readonly name: string
  readonly id: number
  /** Of a user. */
  readonly gid: number | undefined
}

function accountOf(kind: 'passwd' | 'group', name: string): Account {
  const found = findAccount(kind, name)
  if (found !== undefined) return found
  const word = kind === 'passwd' ? 'user' : 'group'
  throw new MailmuxError('USER_UNUSABLE', `${word}: there is no ${word} ${name}`)
}

/** By name or number, from wherever the system keeps its users; getent(1). */
function findAccount(kind: 'passwd' | 'group', name: string): Account | undefined {
  let line: string
  try {
    line = execFileSync('getent', [kind, '--', name], { encoding: 'utf8', ...plain }).trim()
  } catch (error) {
    // Its way to say that there is none.
    const { status, code } = error as NodeJS.ErrnoException & { status?: number }
    if (status === 2 || code === 'ENOENT') return undefined
    throw new MailmuxError('USER_UNUSABLE', `${name} cannot be looked up: ${messageOf(error)}`)
  }
  const [found = name, , id = '', gid] = line.split(':')
  return { name: found, id: Number(id), gid: kind === 'passwd' ? Number(gid) : undefined }
}

const plain = {
  cwd: '/',
  env: { PATH: '/usr/bin:/bin' },
  stdio: ['ignore', 'pipe', 'ignore'],
} satisfies Parameters<typeof spawnSync>[2]

function nameOfSelf(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? '')
  }
}

/**
 * Sees to it that workers can work: gives them `state_dir` where it is root's. Throws STATE_UNUSABLE
 * where anybody may write there, and USER_UNUSABLE where the user may not.
 */
export async function prepareStateDir(stateDir: string, runAs: RunAs | undefined): Promise<void> {
  try {
    if (runAs !== undefined) await realDisk.makeDirectory(stateDir)
    refuseOpenDirectory(stateDir)
    if (runAs !== undefined) giveDirectory(stateDir, runAs)
  } catch (error) {
    const what = `${stateDir}: ${messageOf(error)}`
    throw new MailmuxError('STATE_UNUSABLE', what, { cause: error })
  }
  if (runAs !== undefined) refuseUnless('write', stateDir, runAs)
}

const questions = { read: ['-r'], write: ['-w', '-x'] } as const

/** Asks as that user, since more than the mode may decide. Throws USER_UNUSABLE. */
export function refuseUnless(
  what: keyof typeof questions,
  path: string,
  { user, uid, gid }: RunAs,
): void {
  for (const question of questions[what]) {
    const { status } = spawnSync('test', [question, path], { ...plain, uid, gid })
    if (status === 0) continue
    const where = what === 'write' ? `${path}: the user ${user} may not write there` : undefined
    throw new MailmuxError('USER_UNUSABLE', where ?? `${path}: the user ${user} may not read it`)
  }
}
