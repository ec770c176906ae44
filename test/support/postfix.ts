/**
 * A real Postfix that takes every message for example.com and throws it away, or sends on what is for
 * the domains that it is told of; what it thinks of others is in its log. Only root can start one.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { freePorts } from '../../src/demo/free-port.ts'
import type { TempDir } from './temp-dir.ts'
import { runTool, skipWithout } from './tools.ts'

/** Why a test with Postfix cannot run here; false where it can. */
export function skipWithoutPostfix(): string | false {
  const missing = skipWithout('postfix')
  return missing === false && process.getuid?.() !== 0 ? 'only root can start Postfix' : missing
}

const services = `cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
`

function inline(table: Readonly<Record<string, string>>): string {
  const entries = Object.entries(table).map(([key, value]) => `{ ${key} = ${value} }`)
  return entries.length === 0 ? '' : `inline:{ ${entries.join(', ')} }`
}

const startAttempts = 3

export class Postfix implements AsyncDisposable {
  readonly port: number
  /** Expects a PROXY header. */
  readonly proxyPort: number
  /** Takes messages of those who have logged in, and no others. */
  readonly submissionPort: number
  readonly #dir: TempDir

  private constructor(
    dir: TempDir,
    [port = 0, proxyPort = 0, submissionPort = 0]: readonly number[],
  ) {
    this.#dir = dir
    this.port = port
    this.proxyPort = proxyPort
    this.submissionPort = submissionPort
  }

  /**
   * `ways`: how mail for a domain is sent on, as transport(5) says it. `authentication`: the socket of
   * a Dovecot that judges logins.
   */
  static async start(
    dir: TempDir,
    ways: Readonly<Record<string, string>> = {},
    authentication = 'none',
  ): Promise<Postfix> {
    chmodSync(dir.path, 0o755)
    for (const folder of ['etc', 'queue', 'data']) mkdirSync(dir.join(folder))
    execFileSync('chown', ['postfix', dir.join('data')])
    const main = {
      compatibility_level: '3.6',
      queue_directory: dir.join('queue'),
      data_directory: dir.join('data'),
      myhostname: 'fritz.internal',
      mydestination: 'example.com',
      local_recipient_maps: '',
      local_transport: 'discard:',
      default_transport: 'discard:',
      transport_maps: inline(ways),
      smtp_tls_security_level: 'none',
      local_header_rewrite_clients: '',
      inet_interfaces: '127.0.0.1',
      inet_protocols: 'ipv4',
      alias_maps: '',
      smtputf8_enable: 'yes',
      smtpd_authorized_xclient_hosts: '127.0.0.1',
      smtpd_authorized_xforward_hosts: '127.0.0.1',
      maillog_file: dir.join('mail.log'),
      maillog_file_prefixes: dir.path,
    }
    const lines = Object.entries(main).map(([key, value]) => `${key} = ${value}\n`)
    writeFileSync(dir.join('etc/main.cf'), lines.join(''))
    const restricted = ['relay', 'recipient'].map(
      (what) => ` -o smtpd_${what}_restrictions=permit_sasl_authenticated,reject`,
    )
    const submits = `smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=${authentication}${restricted.join('')}`
    const behindProxy = 'smtpd -o smtpd_upstream_proxy_protocol=haproxy'
    for (let attempt = 1; ; attempt++) {
      // Others may take one of them before it does.
      const ports = await freePorts(3)
      const listeners = ['smtpd', behindProxy, submits].map(
        (what, index) => `127.0.0.1:${ports[index] ?? 0} inet n - n - - ${what}\n`,
      )
      writeFileSync(dir.join('etc/master.cf'), `${listeners.join('')}${services}`)
      const { code, stderr } = await runTool(dir.path, 'postfix', ['-c', dir.join('etc'), 'start'])
      if (code === 0) return new Postfix(dir, ports)
      if (attempt === startAttempts) throw new Error(`postfix: ${stderr}`)
    }
  }

  /** Asks for what it holds to be tried again now. */
  async flush(): Promise<void> {
    await runTool(this.#dir.path, 'postqueue', ['-c', this.#dir.join('etc'), '-f'])
  }

  /** Waits until a line of the log matches. */
  async logged(pattern: RegExp): Promise<void> {
    const deadline = performance.now() + 10_000
    while (!pattern.test(this.#log())) {
      if (performance.now() > deadline) throw new Error(`no ${pattern} in:\n${this.#log()}`)
      await setTimeout(20)
    }
  }

  #log(): string {
    try {
      return readFileSync(this.#dir.join('mail.log'), 'utf8')
    } catch {
      return ''
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await runTool(this.#dir.path, 'postfix', ['-c', this.#dir.join('etc'), 'stop'])
  }
}
