/**
 * A real Cyrus as script/setup unpacks it: LMTP that believes whoever connects, IMAP, POP3 and
 * ManageSieve where every password is right, since what it asks for passwords is played here. Whoever starts it owns it; it
 * refuses to be root's, so that for root it belongs to `nobody`, who must be able to enter the checkout.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { userInfo } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../src/demo/free-port.ts'
import { endGroup } from '../../src/demo/process-group.ts'
import { newestMessage } from './newest-message.ts'
import { Peer } from './peer.ts'
import type { TempDir } from './temp-dir.ts'

const root = fileURLToPath(new URL('../../.cache/cyrus', import.meta.url))
const programs = `${root}/usr/lib/cyrus/bin`
const isRoot = process.getuid?.() === 0

/** Why there is none; false where there is one. Under CI=true there must be. */
export function skipWithoutCyrus(): string | false {
  if (existsSync(`${programs}/pop3d`)) return false
  const reason = 'cyrus-pop3d is not unpacked; script/setup does it'
  if (process.env['CI'] === 'true') throw new Error(reason)
  return reason
}

export class Cyrus implements AsyncDisposable {
  readonly lmtp: number
  readonly imap: number
  readonly sieve: number
  readonly pop3: number
  readonly #child: ChildProcess
  readonly #passwords: Server

  private constructor(ports: readonly number[], child: ChildProcess, passwords: Server) {
    const [lmtp = 0, imap = 0, sieve = 0, pop3 = 0] = ports
    this.lmtp = lmtp
    this.imap = imap
    this.sieve = sieve
    this.pop3 = pop3
    this.#child = child
    this.#passwords = passwords
  }

  /** In `folder` of the directory, with a mailbox for each of `users`; `further`: lines of its config. */
  static async start(
    dir: TempDir,
    folder: string,
    users: readonly string[],
    further: readonly string[] = [],
  ): Promise<Cyrus> {
    chmodSync(dir.path, 0o755)
    const home = dir.join(folder)
    for (const name of ['', 'lib', 'spool', 'sieve', 'proc', 'lock']) {
      mkdirSync(`${home}/${name}`)
      if (isRoot) chownSync(`${home}/${name}`, 65_534, 65_534)
    }
    const ports = await freePorts(4)
    const lines = further.map((line) => `${line}\n`)
    writeFileSync(`${home}/imapd.conf`, settings(home) + lines.join(''))
    writeFileSync(`${home}/cyrus.conf`, services(home, ports))
    const passwords = await takeEveryPassword(`${home}/mux`)
    const files = ['-C', `${home}/imapd.conf`, '-M', `${home}/cyrus.conf`, '-p', `${home}/pid`]
    const libraries = globSync(`${root}/{usr/,}lib/*-linux-*/`).join(':')
    const child = spawn(`${programs}/master`, [...files, '-D'], {
      env: { PATH: process.env['PATH'], LD_LIBRARY_PATH: libraries },
      cwd: home,
      stdio: 'ignore',
      detached: true,
    })
    const cyrus = new Cyrus(ports, child, passwords)
    try {
      await cyrus.#ready()
      for (const user of users) await cyrus.admin(`CREATE user/${user}`)
      return cyrus
    } catch (error) {
      await cyrus[Symbol.asyncDispose]()
      throw error
    }
  }

  /** IMAP commands as its administrator; each must succeed. */
  async admin(...commands: readonly string[]): Promise<void> {
    using peer = await Peer.connect(this.imap)
    await peer.expect(/^\* OK /)
    for (const command of ['LOGIN cyrus x', ...commands]) {
      peer.send(`a ${command}\r\n`)
      await peer.expect(/^a OK .*\r\n/m)
    }
  }

  /** The newest message of a user, as it came in. */
  newestOf(user: string): Promise<Buffer> {
    return newestMessage(this.imap, user)
  }

  /** Both ports greet. */
  async #ready(): Promise<void> {
    for (const port of [this.imap, this.lmtp]) {
      for (let attempt = 1; ; attempt++) {
        try {
          using peer = await Peer.connect(port)
          await peer.expect(/^(?:\* OK|220) .*\r\n/)
          break
        } catch (error) {
          if (attempt === 250 || this.#child.exitCode !== null) {
            throw new Error('Cyrus does not start', { cause: error })
          }
          await setTimeout(20)
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endGroup(this.#child)
    this.#passwords.close()
    await once(this.#passwords, 'close')
  }
}

function settings(home: string): string {
  return `configdirectory: ${home}/lib
defaultpartition: default
partition-default: ${home}/spool
sievedir: ${home}/sieve
proc_path: ${home}/proc
mboxname_lockpath: ${home}/lock
cyrus_user: ${isRoot ? 'nobody' : userInfo().username}
admins: cyrus
servername: klaus.internal
unixhierarchysep: yes
allowplaintext: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: ${home}/mux
lmtp_strict_quota: yes
munge8bit: no
sieve_maxscriptsize: 1024
`
}

function services(
  home: string,
  [lmtp = 0, imap = 0, sieve = 0, pop3 = 0]: readonly number[],
): string {
  const service = (name: string, program: string, port: number): string =>
    `  ${name} cmd="${programs}/${program} -C ${home}/imapd.conf" listen="127.0.0.1:${port}"\n`
  return `START {\n}
SERVICES {
${service('lmtp', 'lmtpd -a', lmtp)}${service('imap', 'imapd', imap)}${service('sieve', 'timsieved', sieve)}${service('pop3', 'pop3d', pop3)}}
EVENTS {\n}\n`
}

/** The other end of saslauthd's socket: a length of two octets before each text, both ways. */
async function takeEveryPassword(path: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end('\0\x02OK', 'latin1'))
  })
  server.listen({ path, writableAll: true, readableAll: true })
  await once(server, 'listening')
  return server
}
