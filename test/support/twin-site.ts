/**
 * A site that shows whether a mail program fares through the proxies as it does at the back-end itself:
 * a real Dovecot, fritz, and a real Cyrus, klaus, behind a real `mailmux serve`, and for each program
 * two mailboxes at each of them that are equal in all but their names. The program has its round with
 * one of them directly, and with the other through the proxies.
 */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { Dovecot } from '../../src/demo/dovecot.ts'
import { freePorts } from '../../src/demo/free-port.ts'
import { makeAuthority } from './certificates.ts'
import { Cyrus, skipWithoutCyrus } from './cyrus.ts'
import { buildMapOf, type Daemon, startDaemon } from './daemon.ts'
import { submissionLines } from './real-site.ts'
import { type TempDir, tempDir } from './temp-dir.ts'
import { skipWithout } from './tools.ts'
import {
  type BackendName,
  backendNames,
  brief,
  password,
  type Ports,
  type Round,
  Twin,
} from './twin.ts'

const services = ['smtp', 'imap', 'pop3', 'sieve', 'submission'] as const

/** Why there can be no such site, or no such program; false where there can. */
export function skipTwins(...programs: readonly string[]): string | false {
  return skipWithout('dovecot', 'openssl', ...programs) || skipWithoutCyrus()
}

export class TwinSite implements AsyncDisposable {
  readonly dir: TempDir
  readonly fritz: Dovecot
  readonly klaus: Cyrus
  readonly daemon: Daemon
  readonly caFile: string
  readonly #submissionPort: number
  readonly #opened: AsyncDisposableStack
  readonly #startedAt = Date.now()

  private constructor(
    parts: Pick<TwinSite, 'dir' | 'fritz' | 'klaus' | 'daemon' | 'caFile'>,
    submissionPort: number,
    opened: AsyncDisposableStack,
  ) {
    this.dir = parts.dir
    this.fritz = parts.fritz
    this.klaus = parts.klaus
    this.daemon = parts.daemon
    this.caFile = parts.caFile
    this.#submissionPort = submissionPort
    this.#opened = opened
  }

  /** With mailboxes for these programs. */
  static async start(programs: readonly string[]): Promise<TwinSite> {
    await using opened = new AsyncDisposableStack()
    const dir = opened.use(tempDir())
    chmodSync(dir.path, 0o755)
    const authority = makeAuthority()
    const caFile = dir.join('ca.pem')
    writeFileSync(caFile, authority.ca)
    const certificate = authority.issue(['localhost'])
    writeFileSync(dir.join('cert.pem'), certificate.cert)
    writeFileSync(dir.join('key.pem'), certificate.key)
    const [relay = 0, submission = 0] = await freePorts(2)
    const users = Object.fromEntries(
      backendNames.map((name) => [
        name,
        programs.flatMap((program) => [`one.${program}.${name}`, `two.${program}.${name}`]),
      ]),
    )
    const startingKlaus = Cyrus.start(dir, 'klaus', users['klaus'] ?? [], [
      'virtdomains: userid',
      'defaultdomain: example.com',
      `tls_server_cert: ${dir.join('cert.pem')}`,
      `tls_server_key: ${dir.join('key.pem')}`,
      // Without its idled it looks for new mail by itself.
      'imapidlepoll: 1',
    ])
    opened.defer(() =>
      startingKlaus.then(
        (klaus) => klaus[Symbol.asyncDispose](),
        () => undefined,
      ),
    )
    const fritz = opened.use(
      await Dovecot.start({
        name: 'fritz',
        folder: dir.join('fritz'),
        users: (users['fritz'] ?? []).map((user) => ({ address: `${user}@example.com`, password })),
        certificate,
        hasSieve: true,
        further: submissionLines([relay, submission], 0),
      }),
    )
    const klaus = await startingKlaus
    const lines = backendNames.flatMap((name) =>
      (users[name] ?? []).map((user) => `${user}@example.com ${name}\n`),
    )
    writeFileSync(dir.join('user_map'), lines.join(''))
    const config = configOf({ fritz, klaus, relay, submission })
    await buildMapOf(dir, config)
    const daemon = opened.use(await startDaemon({ dir, config }))
    // Its worker knows what each of them offers.
    await daemon.waitFor('backend.offers', 5 + 4)
    const parts = { dir, fritz, klaus, daemon, caFile }
    return new TwinSite(parts, submission, opened.move())
  }

  /** What the round gave, and how the mailbox was left: directly, and through the proxies. */
  async bothWays(program: string, backend: BackendName, round: Round) {
    const outcomes = (['direct', 'proxied'] as const).map(async (way) => {
      const twin = this.#twin(way, program, backend)
      await twin.fill()
      const seen = await round(twin)
      return { seen, left: await this.#left(twin) }
    })
    // Both have ended, whatever comes of it.
    await Promise.allSettled(outcomes)
    const [direct, proxied] = await Promise.all(outcomes)
    assert(direct !== undefined && proxied !== undefined)
    return { direct, proxied }
  }

  #twin(way: 'direct' | 'proxied', program: string, backend: BackendName): Twin {
    const user = `${way === 'direct' ? 'one' : 'two'}.${program}.${backend}`
    return new Twin({
      way,
      backend,
      login: `${user}@example.com`,
      ports: way === 'proxied' ? this.#portsOfDaemon() : this.#portsOf(backend),
      imapOfBackend: this.#portsOf(backend).imap,
      caFile: this.caFile,
      home: this.dir.join(user),
    })
  }

  #portsOf(backend: BackendName): Ports {
    if (backend === 'fritz') return { ...this.fritz.ports, submission: this.#submissionPort }
    const { imap, pop3, sieve } = this.klaus
    return { imap, pop3, sieve, imaps: 0, pop3s: 0, submission: 0 }
  }

  #portsOfDaemon(): Ports {
    const { imap, pop3, sieve, submission } = this.daemon.ports
    const [imapPort = 0, imaps = 0] = imap
    const [pop3Port = 0, pop3s = 0] = pop3
    const [sievePort = 0] = sieve
    const [submissionPort = 0] = submission
    const others = { sieve: sievePort, submission: submissionPort }
    return { imap: imapPort, imaps, pop3: pop3Port, pop3s, ...others }
  }

  /** Every folder with its messages as the back-end shows them, and what is subscribed. */
  async #left(twin: Twin) {
    using imap = await twin.imap()
    const folders: Record<string, string[]> = {}
    for (const name of (await imap.folders()).sort()) {
      await imap.command(`EXAMINE "${name}"`)
      const items = 'UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[]'
      const fetched = await imap.command(`UID FETCH 1:* (${items})`)
      folders[name] = fetched.map(({ text, literals }) =>
        [
          this.#withoutNow(text),
          ...literals.map((body) => brief(twin.neutral(body.toString('latin1')))),
        ].join('\n'),
      )
    }
    return { folders, subscribed: (await imap.subscribed()).sort() }
  }

  /** What is dated by the back-end itself may be a second apart. */
  #withoutNow(text: string): string {
    return text.replace(/INTERNALDATE "([^"]*)"/, (whole, date: string) =>
      Date.parse(date.replaceAll('-', ' ').replace(/ (\d{4})$/, '-$1')) >= this.#startedAt - 1000
        ? 'INTERNALDATE now'
        : whole,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

function configOf(site: {
  readonly fritz: Dovecot
  readonly klaus: Cyrus
  readonly relay: number
  readonly submission: number
}): string {
  const { lmtp, imap, pop3, sieve } = site.fritz.ports
  const { klaus } = site
  // As the programs do: some back-ends tell clients what protects them.
  const tls = 'tls: starttls, tls_ca: ca.pem, tls_name: localhost'
  const listener = '["127.0.0.1:0", {address: "127.0.0.1:0", tls: implicit}]'
  const proxies = services.slice(1).map((service) => `${service}: ${listener}`)
  return `hostname: mx.example.com
domains: [example.com]
backends:
  fritz:
    {host: 127.0.0.1, lmtp: ${lmtp}, imap: ${imap}, pop3: ${pop3}, sieve: ${sieve}, submission: ${site.submission}, client_address: xclient, ${tls}}
  klaus:
    {host: 127.0.0.1, lmtp: {port: ${klaus.lmtp}, tls: none}, imap: ${klaus.imap}, pop3: ${klaus.pop3}, sieve: ${klaus.sieve}, ${tls}}
map: {user_map: user_map}
listen: {smtp: ["127.0.0.1:${site.relay}"], ${proxies.join(', ')}}
tls: {certificates: [{cert: cert.pem, key: key.pem}]}
workers: 1
`
}
