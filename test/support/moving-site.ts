/**
 * A site in which users move: two real Dovecots with administrators, fritz and ingrid, behind a real
 * `mailmux serve`; where it is wanted a real Cyrus, klaus, too.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Config, Service } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { DovecotPorts } from '../../src/demo/dovecot-config.ts'
import type { Dovecot } from '../../src/demo/dovecot.ts'
import { namedBackend } from '../../src/config/named-backend.ts'
import type { MoveStep } from '../../src/map/state/move-journal.ts'
import { buildMap } from '../../src/map/build.ts'
import {
  type MoveListener,
  type MoveReport,
  type MoveRequest,
  moveUser,
} from '../../src/migrate/move-user.ts'
import { type Daemon, startDaemon, writeConfig } from './daemon.ts'
import { Cyrus } from './cyrus.ts'
import {
  editScript,
  type Ledger,
  type Party,
  popMail,
  sendMail,
  workOnMail,
} from './mail-traffic.ts'
import { adminPassword, MailboxPair, type PairOptions } from './mailbox-pair.ts'
import { type TempDir, tempDir } from './temp-dir.ts'

export interface MovingSiteOptions extends PairOptions {
  readonly serves?: boolean
  readonly placedByRules?: readonly string[]
  /** Lines of the config under `move`, without `freeze_limit`. */
  readonly moveLines?: readonly string[]
  /** POP3 is spoken, too, by back-ends and daemon. */
  readonly hasPop3?: boolean
  /** Of a back-end by which users send, and that believes XCLIENT. */
  readonly smarthostPort?: number
  /** Who lives elsewhere than on fritz. There is a klaus where somebody does; all may be moved there. */
  readonly homes?: Readonly<Record<string, 'ingrid' | 'klaus'>>
}

type PartyAt = (service: Service) => Party

/** One who sends, and a mail program. */
const fewPeople = (at: PartyAt) => [sendMail(at('smtp')), workOnMail(at('imap'))]

const senders = 4
const messagesPerSecond = 100

/**
 * A hundred messages a second, two mail programs, a POP3 client, each with messages of its own, and
 * somebody who edits a Sieve script. Needs `hasPop3` and `hasSieve`.
 */
export function manyPeople(at: PartyAt): Promise<void>[] {
  const pauseMs = (1000 * senders) / messagesPerSecond
  return [
    ...Array.from({ length: senders }, () => sendMail(at('smtp'), pauseMs)),
    workOnMail(at('imap'), (number) => number % 3 === 0),
    workOnMail(at('imap'), (number) => number % 3 === 1),
    popMail(at('pop3'), (number) => number % 3 === 2),
    editScript(at('sieve')),
  ]
}

const listening = { step: () => undefined, progress: () => undefined, note: () => undefined }

export class MovingSite implements AsyncDisposable {
  readonly dir: TempDir
  readonly pair: MailboxPair
  readonly configFile: string
  /** Undefined where nobody lives there. */
  readonly klaus: Cyrus | undefined
  readonly #configText: string
  readonly #services: readonly Service[]
  daemon: Daemon | undefined
  config!: Config

  private constructor(
    dir: TempDir,
    servers: { readonly pair: MailboxPair; readonly klaus: Cyrus | undefined },
    options: MovingSiteOptions,
  ) {
    this.dir = dir
    this.pair = servers.pair
    this.klaus = servers.klaus
    const { hasPop3 = false, hasSieve = false, smarthostPort } = options
    const further = [
      ...(hasPop3 ? (['pop3'] as const) : []),
      ...(hasSieve ? ['sieve' as const] : []),
      ...(smarthostPort === undefined ? [] : ['submission' as const]),
    ]
    this.#services = ['smtp', 'imap', ...further]
    this.#configText = configOf({ ...servers, smarthostPort }, this.#services, options.moveLines)
    this.configFile = writeConfig(dir, this.#configText)
  }

  /** Others than those on klaus live on fritz, by a line of their own but for those whom rules place. */
  static async start(options: MovingSiteOptions): Promise<MovingSite> {
    const { homes = {}, placedByRules = [] } = options
    const dir = tempDir()
    await using opened = new AsyncDisposableStack()
    opened.use(dir)
    const names = options.users.map((user) => (typeof user === 'string' ? user : user.name))
    const pair = opened.use(await MailboxPair.start(dir, options))
    const lines = ['virtdomains: userid', 'defaultdomain: example.com']
    const hasKlaus = Object.values(homes).includes('klaus')
    const klaus = hasKlaus ? await Cyrus.start(dir, 'klaus', names, lines) : undefined
    opened.use(klaus)
    writeFileSync(dir.join('secret'), `${adminPassword}\n`)
    writeFileSync(dir.join('rules'), '* fritz\n')
    const mapped = names
      .filter((name) => !placedByRules.includes(name))
      .map((name) => `# ${name} of London\n${name}@example.com\t${homes[name] ?? 'fritz'}\n`)
    writeFileSync(dir.join('user_map'), `# people\n${mapped.join('')}`)
    const site = new MovingSite(dir, { pair, klaus }, options)
    const { config } = await loadConfig(site.configFile)
    site.config = config
    await buildMap(config)
    if (options.serves === true) await site.serve()
    opened.move()
    return site
  }

  async serve(): Promise<Daemon> {
    const config = this.#configText
    this.daemon = await startDaemon({ dir: this.dir, config, services: this.#services })
    return this.daemon
  }

  /** Of one of the Dovecots. */
  dovecot(name: 'fritz' | 'ingrid'): Dovecot {
    return name === 'fritz' ? this.pair.source : this.pair.target
  }

  /** Something that is done inside a back-end, past all front ends, before this returns. */
  inside(
    user: string,
    [command = '', ...rest]: readonly string[],
    input = '',
    at: 'fritz' | 'ingrid' = 'fritz',
  ): void {
    const way = ['-c', this.dovecot(at).configFile, ...command.split(' ')]
    execFileSync('doveadm', [...way, '-u', `${user}@example.com`, ...rest], { input })
  }

  /** As the command does it. */
  move(
    user: string,
    to: string,
    changes: Partial<MoveRequest & MoveListener> = {},
  ): Promise<MoveReport> {
    const wanted = { user, to: namedBackend(this.config, to), order: 'begun' } as const
    const request = { ...wanted, merge: false, maxBad: 0, ...changes }
    const listener = { ...listening, ...changes }
    return moveUser(this.config, request, listener, new AbortController().signal)
  }

  /** Does `work` while a back-end answers nobody. */
  async standingStill(name: 'fritz' | 'ingrid', work: () => Promise<void>): Promise<void> {
    const group = this.#groupOf(name)
    process.kill(-group, 'SIGSTOP')
    await work().finally(() => process.kill(-group, 'SIGCONT'))
  }

  /** One of the Dovecots, and what it has started, ends at once. */
  strikeDown(name: 'fritz' | 'ingrid'): void {
    process.kill(-this.#groupOf(name), 'SIGKILL')
  }

  #groupOf(name: 'fritz' | 'ingrid'): number {
    const { pid } = this.dovecot(name)
    // Nought would be the group of the test itself.
    assert.ok(pid !== undefined, `${name} does not run`)
    return pid
  }

  /**
   * A move whose new home stands still from when the user is frozen until `work` is done: nothing goes
   * on before. The steps that it took.
   */
  async moveHeldUp(
    user: string,
    to: 'fritz' | 'ingrid',
    work: () => Promise<void>,
  ): Promise<MoveStep[]> {
    const steps: MoveStep[] = []
    let working: Promise<void> | undefined
    const step = (move: { readonly step: MoveStep }): void => {
      steps.push(move.step)
      if (move.step === 'settling') working ??= this.standingStill(to, work)
    }
    const { result, record } = await this.move(user, to, { step })
    await working
    assert.equal(result, 'moved', JSON.stringify(record?.details.error))
    return steps
  }

  /** Mail comes by the daemon, is flagged, filed and deleted, while `work` is under way. */
  async whileUsed(
    user: string,
    ledger: Ledger,
    work: () => Promise<void>,
    people: (at: PartyAt) => Promise<void>[] = fewPeople,
  ): Promise<void> {
    const ended = new AbortController()
    const portOf = (service: Service): number => this.daemon?.port(service) ?? 0
    const at = (service: Service): Party => ({
      get port() {
        return portOf(service)
      },
      user,
      ledger,
      signal: ended.signal,
    })
    const traffic = people(at)
    try {
      await work()
    } finally {
      ended.abort()
      await Promise.all(traffic)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon?.[Symbol.asyncDispose]()
    await Promise.all([this.pair[Symbol.asyncDispose](), this.klaus?.[Symbol.asyncDispose]()])
    this.dir[Symbol.dispose]()
  }
}

type Ports = Pick<DovecotPorts, 'imap' | 'pop3' | 'lmtp' | 'sieve'>

function backend(
  { imap, lmtp, sieve, pop3 }: Ports,
  admin: string,
  services: readonly Service[],
): string {
  const further = [
    ...(services.includes('sieve') ? [`sieve: ${sieve}, `] : []),
    ...(services.includes('pop3') ? [`pop3: ${pop3}, `] : []),
  ]
  return `{host: 127.0.0.1, imap: ${imap}, lmtp: ${lmtp}, ${further.join('')}admin: ${admin}}`
}

const master = '{user: mailmux, password_file: secret, style: master}'
const acting = '{user: cyrus, password_file: secret, style: authzid}'

interface Servers {
  readonly pair: MailboxPair
  readonly klaus: Cyrus | undefined
  readonly smarthostPort: number | undefined
}

function smarthostLines(port: number): string[] {
  return [
    `  out: {host: 127.0.0.1, smtp: ${port}, submission: ${port}, client_address: xclient}\n`,
    'smarthost: {backend: out, submission: xclient}\n',
  ]
}

function configOf(
  { pair, klaus, smarthostPort }: Servers,
  services: readonly Service[],
  moveLines: readonly string[] = [],
): string {
  const smarthost = smarthostPort === undefined ? [] : smarthostLines(smarthostPort)
  const listen = [...services.map((service) => `${service}: ["127.0.0.1:0"]`), 'metrics: ["0"]']
  return `hostname: mx.example.com
domains: [example.com]
backends:
  fritz: ${backend(pair.source.ports, master, services)}
  ingrid: ${backend(pair.target.ports, master, services)}
${klaus === undefined ? '' : `  klaus: ${backend(klaus, acting, services)}\n`}${smarthost.join('')}map: {user_map: user_map, rules: rules}
listen: {${listen.join(', ')}}
workers: 2
limits: {drain_timeout: 1s}
move:
  freeze_limit: 20s
${moveLines.map((line) => `  ${line}\n`).join('')}`
}
