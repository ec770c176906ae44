/**
 * A real Dovecot in a folder of its own, as one process group that is ended as a whole.
 *
 * As root, mail belongs to `nobody` and the login processes run as the users of Debian's package; as
 * any other user everything runs as that user. It is ready when each of its services has greeted us.
 * Ports are chosen anew where another program was faster.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { MailmuxError } from '../base/error.ts'
import {
  type DovecotPorts,
  type DovecotRelease,
  type DovecotUser,
  dovecotConfig,
  dovecotFiles,
  dovecotUsers,
} from './dovecot-config.ts'
import { freePorts } from './free-port.ts'
import { endGroup } from './process-group.ts'

export interface DovecotOptions {
  /** Short name; its host name is NAME.example.com. */
  readonly name: string
  /** Made where it is missing. Everyone must be able to enter the folders above it. */
  readonly folder: string
  readonly users: readonly DovecotUser[]
  /** PEM texts; without them there is no TLS. */
  readonly certificate?: { readonly cert: string; readonly key: string }
  /** Who may log in for every user. */
  readonly admin?: { readonly user: string; readonly password: string }
  /** ManageSieve is spoken, too. */
  readonly hasSieve?: boolean
  /** More lines of its config. */
  readonly further?: readonly string[]
  /** Where `dovecot` in the PATH, or in Debian's places, is not the one to run. */
  readonly program?: string
}

const installHint = 'Debian: apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd'
const readyWithinMs = 20_000
/** Uid and gid of `nobody` and `nogroup` on every Debian system. */
const nobody = { uid: 65534, gid: 65534 }

/** Debian keeps daemons where the PATH of an ordinary user does not look. */
function withSystemPath(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin` }
}

async function choosePorts({ certificate, hasSieve = false }: DovecotOptions) {
  const names = ['imap', 'pop3', 'lmtp'] as const
  const tls = certificate === undefined ? [] : names.map((name) => `${name}s` as const)
  const all = [...names, ...tls, ...(hasSieve ? (['sieve'] as const) : [])]
  const ports = await freePorts(all.length)
  const none = { imap: 0, pop3: 0, lmtp: 0, sieve: 0, imaps: 0, pop3s: 0, lmtps: 0 }
  return { ...none, ...Object.fromEntries(all.map((name, index) => [name, ports[index] ?? 0])) }
}

function toolMissing(what: string): MailmuxError {
  return new MailmuxError('TOOL_MISSING', `${what} (${installHint})`)
}

export class Dovecot implements AsyncDisposable {
  readonly name: string
  readonly folder: string
  readonly configFile: string
  readonly logFile: string
  readonly #options: DovecotOptions
  #ports: DovecotPorts | undefined
  #child: ChildProcess | undefined

  private constructor(options: DovecotOptions) {
    this.#options = options
    this.name = options.name
    this.folder = options.folder
    this.configFile = join(options.folder, dovecotFiles.config)
    this.logFile = join(options.folder, dovecotFiles.log)
  }

  /** Throws TOOL_MISSING, DEMO_FAILED with the end of its log, or the reason of `signal`. */
  static async start(options: DovecotOptions, signal?: AbortSignal): Promise<Dovecot> {
    const dovecot = new Dovecot(options)
    makeFolders(options)
    for (let attempt = 1; ; attempt++) {
      dovecot.#ports = await choosePorts(options)
      await dovecot.#writeConfig()
      try {
        await dovecot.start(signal)
        return dovecot
      } catch (error) {
        await dovecot.stop()
        signal?.throwIfAborted()
        if (attempt === 3 || !/already in use/.test(dovecot.logTail())) throw error
        rmSync(dovecot.logFile, { force: true })
      }
    }
  }

  get ports(): DovecotPorts {
    if (this.#ports === undefined) throw new Error('it has not been started')
    return this.#ports
  }

  get #program(): string {
    return this.#options.program ?? 'dovecot'
  }

  /** Of its master process; undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts it again after `stop()`, on the same ports, and waits until it is ready. */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const child = spawn(this.#program, ['-F', '-c', this.configFile], {
      env: withSystemPath(),
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own: Ctrl-C at the terminal reaches us alone, and we end it in order.
      detached: true,
    })
    this.#child = child
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    const exited = once(child, 'exit').then(
      () => `${complaint}${this.logTail()}`,
      (error: NodeJS.ErrnoException) => error,
    )
    const ended = await Promise.race([exited, this.#untilGreeting(signal)])
    if (ended !== undefined) throw explainEnd(this.name, ended)
  }

  /** Ends it and waits until all of its processes are gone. */
  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child !== undefined) await endGroup(child)
  }

  /** The last lines of its log; empty where there is none. */
  logTail(): string {
    try {
      return readFileSync(this.logFile, 'utf8').split('\n').slice(-12).join('\n')
    } catch {
      return ''
    }
  }

  /** What `doveadm COMMAND…` prints; it works on the mailboxes without any login. */
  async doveadm(...words: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)('doveadm', ['-c', this.configFile, ...words], {
      env: withSystemPath(),
      maxBuffer: 1 << 28,
    })
    return stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Undefined once every service greets. */
  async #untilGreeting(signal: AbortSignal | undefined): Promise<undefined> {
    const { imap, pop3, lmtp, sieve } = this.ports
    const deadline = Date.now() + readyWithinMs
    for (const port of [imap, pop3, lmtp, sieve].filter((one) => one > 0)) {
      while (!(await greets(port))) {
        signal?.throwIfAborted()
        // Its end is the other runner of the race.
        const hasFailed = Date.now() > deadline || /\bFatal: /.test(this.logTail())
        if (this.#child === undefined || hasFailed) {
          throw explainEnd(this.name, `port ${port} does not greet\n${this.logTail()}`)
        }
        await sleep(20)
      }
    }
  }

  async #release(): Promise<DovecotRelease> {
    const asked = promisify(execFile)(this.#program, ['--version'], { env: withSystemPath() })
    const { stdout } = await asked.catch((error: NodeJS.ErrnoException) => {
      throw explainEnd(this.name, error)
    })
    return stdout.startsWith('2.3.') ? '2.3' : '2.4'
  }

  async #writeConfig(): Promise<void> {
    const { folder, name, certificate, users, admin, further = [] } = this.#options
    const account = process.getuid?.() === 0 ? undefined : await ownAccount()
    const text = dovecotConfig({
      release: await this.#release(),
      folder,
      hostname: `${name}.example.com`,
      ports: this.ports,
      hasCertificate: certificate !== undefined,
      hasQuota: users.some(({ quotaKib }) => quotaKib !== undefined),
      hasAdmin: admin !== undefined,
      account,
      further,
    })
    writeFileSync(this.configFile, text)
  }
}

async function ownAccount(): Promise<{ user: string; group: string }> {
  const { stdout } = await promisify(execFile)('id', ['-gn'])
  return { user: userInfo().username, group: stdout.trim() }
}

function makeFolders({ folder, users, admin, certificate }: DovecotOptions): void {
  const isRoot = process.getuid?.() === 0
  const owner = isRoot ? nobody : { uid: userInfo().uid, gid: userInfo().gid }
  const path = (name: keyof typeof dovecotFiles): string => join(folder, dovecotFiles[name])
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
  for (const name of ['mail', 'run', 'state'] as const) mkdirSync(path(name), { recursive: true })
  if (isRoot) chownSync(path('mail'), owner.uid, owner.gid)
  writeFileSync(path('users'), dovecotUsers(users, owner, path('mail')))
  if (admin !== undefined) {
    writeFileSync(path('admins'), `${admin.user}:{PLAIN}${admin.password}\n`)
  }
  if (certificate !== undefined) {
    writeFileSync(path('cert'), certificate.cert)
    writeFileSync(path('key'), certificate.key, { mode: 0o600 })
  }
}

/** A greeting, and not the connection alone, shows that the process behind the port is there. */
function greets(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.on('data', () => resolve(true))
  socket.on('close', () => resolve(false))
  socket.setTimeout(1000, () => resolve(false))
  socket.on('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

function explainEnd(name: string, ended: string | NodeJS.ErrnoException): MailmuxError {
  if (typeof ended !== 'string') {
    return ended.code === 'ENOENT'
      ? toolMissing('Dovecot is not installed')
      : new MailmuxError('DEMO_FAILED', `${name}: dovecot: ${ended.message}`, { cause: ended })
  }
  // What a Dovecot says whose package of that protocol is not there.
  const missing = /Unknown protocol|lib\w*\/dovecot\/\w+\) failed: No such file/.test(ended)
  if (missing) return toolMissing('a part of Dovecot is not installed')
  return new MailmuxError('DEMO_FAILED', `${name}: Dovecot did not start\n${ended.trim()}`)
}
