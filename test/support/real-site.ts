/**
 * A site of real servers: two Dovecots, fritz and ingrid, behind a real `mailmux serve`. Users whose
 * names begin with a to m live on fritz, the others on ingrid, and ann on ingrid by a line of her own.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ImapFlow } from 'imapflow'
import type { Service } from '../../src/config/config.ts'
import { Dovecot } from '../../src/demo/dovecot.ts'
import { freePorts } from '../../src/demo/free-port.ts'
import { type Authority, makeAuthority } from './certificates.ts'
import { buildMapOf, type Daemon, startDaemon } from './daemon.ts'
import { type TempDir, tempDir } from './temp-dir.ts'
import { runTool, type ToolResult, versionOf } from './tools.ts'

export const password = 'correct horse'
/** Of Dovecots whose users log in by certificates. */
const admin = { user: 'mailmux', password: 'master of all' }

const people = {
  fritz: ['bob', 'carl', 'dora', 'emil', 'fred', 'gina', 'hans', 'ida', 'karl'],
  ingrid: ['ann', 'nora', 'otto', 'paul', 'rosa', 'sven', 'tina', 'ute', 'zoe'],
} as const

export interface SiteOptions {
  /** How mailmux speaks to the Dovecots. */
  readonly backendTls?: 'none' | 'starttls' | 'implicit'
  /** The authority that mailmux trusts is another one than that of the Dovecots. */
  readonly distrust?: boolean
  /** ManageSieve is spoken, too. */
  readonly sieve?: boolean
  /** Submission is spoken, too, by Dovecots that send through the relay of the site. */
  readonly submission?: boolean
  /** The Dovecots are told by XCLIENT and ID where clients come from. */
  readonly tellsClients?: boolean
  /** The Dovecots take tokens as `tokenFor` makes them. */
  readonly takesTokens?: boolean
  /** Clients log in by certificates of this authority, through an administrator of the Dovecots. */
  readonly clientAuthority?: Authority
  /** More lines of mailmux.yaml. */
  readonly config?: string
}

const sources = {
  aliases: 'team: bob, carl\ninfo: nora\neverybody: karl, ute\n',
  user_map: 'ann@example.com ingrid\n',
  rules: 'a-m fritz\nn-z ingrid\n',
}

export class RealSite implements AsyncDisposable {
  readonly dir: TempDir
  readonly fritz: Dovecot
  readonly ingrid: Dovecot
  readonly daemon: Daemon
  /** PEM file of the authority that vouches for the front end. */
  readonly caFile: string
  readonly #resources: AsyncDisposableStack

  private constructor(parts: Pick<RealSite, 'dir' | 'fritz' | 'ingrid' | 'daemon' | 'caFile'>) {
    this.dir = parts.dir
    this.fritz = parts.fritz
    this.ingrid = parts.ingrid
    this.daemon = parts.daemon
    this.caFile = parts.caFile
    this.#resources = new AsyncDisposableStack()
  }

  static async start(options: SiteOptions = {}): Promise<RealSite> {
    await using resources = new AsyncDisposableStack()
    const dir = resources.use(tempDir())
    // Mailboxes of a Dovecot that root starts belong to another user.
    chmodSync(dir.path, 0o755)
    const authority = makeAuthority()
    const further = options.takesTokens === true ? tokenLines(dir) : []
    // Dovecot 2.4 has no such setting.
    if (options.tellsClients === true && takesTokens) further.push('imap_id_log = *')
    const submission = options.submission === true ? await freePorts(3) : undefined
    const [fritz, ingrid] = await Promise.all(
      (['fritz', 'ingrid'] as const).map((name, index) => {
        const sending = submission === undefined ? [] : submissionLines(submission, index)
        const hasSieve = options.sieve === true
        const hasAdmin = options.clientAuthority !== undefined
        const own = { hasSieve, hasAdmin, further: [...further, ...sending] }
        return startBackend(name, { dir, authority, ...own })
      }),
    )
    assert(fritz !== undefined && ingrid !== undefined)
    // Each takes a second to end.
    resources.defer(async () => {
      await Promise.all([fritz.stop(), ingrid.stop()])
    })
    const caFile = dir.join('ca.pem')
    writeFileSync(caFile, authority.ca)
    writeFileSync(
      dir.join('backend-ca.pem'),
      (options.distrust === true ? makeAuthority('another') : authority).ca,
    )
    writeFileSync(dir.join('clients.pem'), options.clientAuthority?.ca ?? '')
    writeFileSync(dir.join('admin'), admin.password)
    const own = authority.issue(['localhost', 'mx.example.com', '127.0.0.1'])
    writeFileSync(dir.join('cert.pem'), own.cert)
    writeFileSync(dir.join('key.pem'), own.key)
    for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
    const config = siteConfig([fritz, ingrid], options, submission)
    await buildMapOf(dir, config)
    const daemon = resources.use(await startDaemon({ dir, config }))
    const site = new RealSite({ dir, fritz, ingrid, daemon, caFile })
    site.#resources.use(resources.move())
    return site
  }

  /** The port with STARTTLS (0) or implicit TLS (1). */
  port(service: Service, index: 0 | 1 = 0): number {
    const port = this.daemon.ports[service][index]
    assert(port !== undefined)
    return port
  }

  tool(command: string, ...args: readonly string[]): Promise<ToolResult> {
    return runTool(this.dir.path, command, args)
  }

  /** One message by swaks; options override its defaults. */
  swaks(to: string, ...options: readonly string[]): Promise<ToolResult> {
    const server = ['--server', '127.0.0.1', '--port', String(this.port('smtp'))]
    return this.tool('swaks', ...server, '--from', 'guest@example.net', '--to', to, ...options)
  }

  curl(...args: readonly string[]): Promise<ToolResult> {
    return this.tool('curl', '-q', '--silent', '--show-error', '--cacert', this.caFile, ...args)
  }

  /** Subjects in the user's INBOX, asked of the back-end itself. */
  async subjects(backend: Dovecot, user: string): Promise<string[]> {
    const query = ['fetch', '-u', `${user}@example.com`, 'hdr.subject', 'mailbox', 'INBOX']
    const text = await backend.doveadm(...query)
    return [...text.matchAll(/^hdr\.subject: (.*)$/gm)].map(([, subject = '']) => subject)
  }

  /** A mail program logged in through the proxy; to be closed by the caller. */
  async imap(login: string): Promise<ImapFlow> {
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: this.port('imap', 1),
      secure: true,
      auth: { user: login, pass: password },
      tls: { rejectUnauthorized: false },
      logger: false,
    })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }
}

function startBackend(
  name: 'fritz' | 'ingrid',
  {
    dir,
    authority,
    hasSieve,
    hasAdmin,
    further,
  }: {
    readonly dir: TempDir
    readonly authority: Authority
    readonly hasSieve: boolean
    readonly hasAdmin: boolean
    readonly further: readonly string[]
  },
): Promise<Dovecot> {
  const users = people[name].map((user) => ({ address: `${user}@example.com`, password }))
  const certificate = authority.issue([`${name}.example.com`])
  return Dovecot.start({
    name,
    folder: dir.join(name),
    users,
    certificate,
    hasSieve,
    further,
    ...(hasAdmin ? { admin } : {}),
  })
}

/** Only Dovecot 2.3 is configured for tokens here. */
export const takesTokens = versionOf('dovecot').startsWith('2.3')

const tokenKey = 'a key that only tests know'

function tokenPart(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** A JSON web token of a user that the Dovecots can check without asking anybody (RFC 7519). */
export function tokenFor(user: string, validMs = 600_000): string {
  const nowS = Math.floor(Date.now() / 1000)
  const claims = { sub: user, iat: nowS - 1, exp: nowS + Math.floor(validMs / 1000) }
  const text = `${tokenPart({ alg: 'HS256', typ: 'JWT' })}.${tokenPart(claims)}`
  return `${text}.${createHmac('sha256', tokenKey).update(text).digest('base64url')}`
}

/** For Dovecot 2.3: tokens are checked by a key in a file. */
export function tokenLines(dir: TempDir): string[] {
  const keys = dir.join('keys')
  mkdirSync(join(keys, 'default', 'HS256'), { recursive: true })
  const key = Buffer.from(tokenKey).toString('base64')
  writeFileSync(join(keys, 'default', 'HS256', 'default'), key)
  const file = dir.join('oauth2.conf')
  writeFileSync(
    file,
    `introspection_mode = local
local_validation_key_dict = fs:posix:prefix=${keys}/
username_attribute = sub
`,
  )
  return [
    'auth_mechanisms = plain login scram-sha-256 scram-sha-1 oauthbearer xoauth2',
    'passdb {',
    '  driver = oauth2',
    '  mechanisms = oauthbearer xoauth2',
    `  args = ${file}`,
    '}',
  ]
}

/** `ports`: of the relay, and of each Dovecot for submission. */
export function submissionLines([relay = 0, ...ports]: readonly number[], index: number): string[] {
  const chroot = process.getuid?.() === 0 ? [] : ['  chroot =']
  return [
    'protocols = $protocols submission',
    'submission_relay_host = 127.0.0.1',
    `submission_relay_port = ${relay}`,
    'service submission-login {',
    '  inet_listener submission {',
    `    port = ${ports[index] ?? 0}`,
    '  }',
    '  inet_listener submissions {',
    '    port = 0',
    '  }',
    ...chroot,
    '}',
  ]
}

function siteConfig(
  backends: readonly Dovecot[],
  options: SiteOptions,
  [relayPort = 0, ...submissionPorts]: readonly number[] = [],
): string {
  const { backendTls = 'none', config = '' } = options
  const entries = backends.map(({ name, ports }, index) => {
    const { sieve } = ports
    const { imap, pop3, lmtp } =
      backendTls === 'implicit'
        ? { imap: ports.imaps, pop3: ports.pop3s, lmtp: ports.lmtps }
        : ports
    const submission = submissionPorts[index]
    const more = [
      sieve === 0
        ? ''
        : `sieve: ${backendTls === 'implicit' ? `{port: ${sieve}, tls: starttls}` : sieve}, `,
      submission === undefined ? '' : `submission: ${submission}, `,
      options.tellsClients === true ? 'client_address: xclient, ' : '',
      options.clientAuthority === undefined
        ? ''
        : `admin: {user: ${admin.user}, password_file: admin}, `,
    ].join('')
    const tls = `tls: ${backendTls}, tls_ca: backend-ca.pem, tls_name: ${name}.example.com`
    return `  ${name}: {host: 127.0.0.1, lmtp: ${lmtp}, imap: ${imap}, pop3: ${pop3}, ${more}${tls}}\n`
  })
  const listener = '["127.0.0.1:0", {address: "127.0.0.1:0", tls: implicit}]'
  const proxies = ['imap', 'pop3']
  if (options.sieve === true) proxies.push('sieve')
  if (options.submission === true) proxies.push('submission')
  const clients = options.clientAuthority === undefined ? '' : ', client_ca: clients.pem'
  const listeners = proxies.map((service) => `${service}: ${listener}`)
  return `hostname: mx.example.com
domains: [example.com]
backends:
${entries.join('')}map: {aliases: aliases, user_map: user_map, rules: rules}
listen: {smtp: ["127.0.0.1:${relayPort}"], ${listeners.join(', ')}}
tls: {certificates: [{cert: cert.pem, key: key.pem}]${clients}}
limits: {auth_failure_delay: 100ms, drain_timeout: 2s}
${config}`
}
