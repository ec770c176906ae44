/** Two real Dovecots with administrators, and copies of mailboxes from the one to the other. */
import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { AdminDoor } from '../../src/backend/mailbox-access.ts'
import type { BackendConfig, MigrateLimits } from '../../src/config/config.ts'
import { Dovecot, type DovecotOptions } from '../../src/demo/dovecot.ts'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { BadMessages } from '../../src/migrate/bad-messages.ts'
import { MailboxCopy, type MailboxPlan } from '../../src/migrate/copy-mailbox.ts'
import type { PassReport } from '../../src/migrate/pass-report.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import type { CopyEnds } from '../../src/migrate/copy-session.ts'
import { RawImap } from './raw-imap.ts'
import type { TempDir } from './temp-dir.ts'

export const password = 'correct horse'
export const adminPassword = 'battery staple'

export interface PairOptions {
  readonly users: readonly (string | { readonly name: string; readonly quotaKib: number })[]
  readonly hasSieve?: boolean
  /** More lines of the config of one of them. */
  readonly source?: readonly string[]
  readonly target?: readonly string[]
}

/** So that a few messages take many steps. */
export const smallPieces = { messages: 3, bytes: 100_000, largeBytes: 60_000 }

export const unlimited: MigrateLimits = {
  connections: undefined,
  bytesPerSecond: undefined,
  commandsPerSecond: undefined,
  latencyLimitMs: 0,
  bytesPerDay: undefined,
  compress: false,
}

/** Of a run that may take as much as there is. */
export function noLimits(stateDir: string): RunLimits {
  return new RunLimits({
    backends: new Map(),
    migrate: { windows: [], outside: unlimited },
    stateDir,
  })
}

const limits = { connectTimeoutMs: 5_000, loginTimeoutMs: 5_000 } as never

const endpoint = (port: number) => ({ host: '127.0.0.1', port, tls: 'none' }) as const

/** An administrator's way in, to a server on a port of this host. */
export function doorTo(
  name: string,
  imap: number,
  style: 'master' | 'authzid' = 'master',
  { user = 'mailmux', sieve = 0, pop3 = 0 } = {},
): AdminDoor {
  const backend: BackendConfig = {
    name,
    host: '127.0.0.1',
    endpoints: {
      imap: endpoint(imap),
      ...(sieve === 0 ? {} : { sieve: endpoint(sieve) }),
      ...(pop3 === 0 ? {} : { pop3: endpoint(pop3) }),
    },
    tlsCaFile: undefined,
    tlsName: name,
    tlsPins: [],
    tlsClient: undefined,
    connections: 1,
    logins: 1,
    clientAddress: 'none',
    state: 'online',
    admin: { user, passwordFile: '', style, separator: '*' },
    migrate: unlimited,
  }
  return new AdminDoor(backend, limits, { password: adminPassword, authorities: undefined })
}

export class MailboxPair implements AsyncDisposable {
  readonly dir: TempDir
  readonly source: Dovecot
  readonly target: Dovecot

  private constructor(dir: TempDir, source: Dovecot, target: Dovecot) {
    this.dir = dir
    this.source = source
    this.target = target
  }

  static async start(dir: TempDir, options: PairOptions): Promise<MailboxPair> {
    chmodSync(dir.path, 0o755)
    const users = options.users.map((user) =>
      typeof user === 'string'
        ? { address: `${user}@example.com`, password }
        : { address: `${user.name}@example.com`, password, quotaKib: user.quotaKib },
    )
    const own = (name: 'source' | 'target'): DovecotOptions => ({
      name: name === 'source' ? 'fritz' : 'ingrid',
      folder: dir.join(name),
      users,
      hasSieve: options.hasSieve ?? false,
      further: [...withAdmin(dir), ...scriptsApart(dir.join(name)), ...(options[name] ?? [])],
    })
    const [source, target] = await Promise.all([
      Dovecot.start(own('source')),
      Dovecot.start(own('target')),
    ])
    return new MailboxPair(dir, source, target)
  }

  /** A mail program at one of them. */
  login(end: 'source' | 'target', user: string): Promise<RawImap> {
    return RawImap.login(this[end].ports.imap, `${user}@example.com`, password)
  }

  /** A folder that its server lists, and can tell nothing of, until what is returned is disposed of. */
  unreadable(end: 'source' | 'target', user: string, folder: string): Disposable {
    const path = this.dir.join(end, 'mail', `${user}@example.com`, `.${folder}`)
    const { mode } = statSync(path)
    chmodSync(path, 0)
    return { [Symbol.dispose]: () => chmodSync(path, mode) }
  }

  endsOf(user: string): CopyEnds {
    const login = `${user}@example.com`
    return {
      source: doorTo('fritz', this.source.ports.imap).accessTo(login),
      target: doorTo('ingrid', this.target.ports.imap, 'authzid').accessTo(login),
    }
  }

  planFor(user: string, changes: Partial<MailboxPlan> = {}): MailboxPlan {
    return planFor(this.dir, user, this.endsOf(user), changes)
  }

  /** One pass of a user's copy, over new connections, as a run of the command makes it. */
  pass(user: string, changes: Partial<MailboxPlan> = {}, mirror = true): Promise<PassReport> {
    return passOf(this.dir, this.planFor(user, changes), mirror)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.source.stop(), this.target.stop()])
  }
}

export function planFor(
  dir: TempDir,
  user: string,
  ends: CopyEnds,
  changes: Partial<MailboxPlan> = {},
): MailboxPlan {
  return {
    user,
    source: 'fritz',
    target: 'ingrid',
    ends,
    renames: new Map(),
    lanes: 1,
    appends: 3,
    bad: new BadMessages(dir.join('state'), user, 0),
    onProgress: () => undefined,
    ...changes,
  }
}

export async function passOf(dir: TempDir, plan: MailboxPlan, mirror = true): Promise<PassReport> {
  using journal = await CopyJournal.open(dir.join('state'))
  await using copy = await MailboxCopy.open(plan, journal, new AbortController().signal)
  return await copy.pass({ mirror })
}

/** In the mailbox itself, the name of the active script would be that of a folder. */
function scriptsApart(folder: string): string[] {
  const place = `${folder}/mail/scripts/%u`
  return ['plugin {', `  sieve = file:${place}/all;active=${place}/active.sieve`, '}']
}

/** Who logs in as `user*mailmux`, or for a user by PLAIN. */
function withAdmin(dir: TempDir): string[] {
  const file = dir.join('masters')
  writeFileSync(file, `mailmux:{PLAIN}${adminPassword}\n`)
  return [
    'auth_master_user_separator = *',
    'passdb {',
    '  driver = passwd-file',
    `  args = ${file}`,
    '  master = yes',
    '  result_success = continue',
    '}',
  ]
}
