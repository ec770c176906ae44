/**
 * A site in which users move: two real Dovecots with administrators, fritz and ingrid, behind a real
 * `mailmux serve`; senders who come by its relay, and mail programs by its proxy, who all do it again
 * when they are told to, and write down what they were told.
 */
import assert from 'node:assert/strict'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { writeFileSync } from 'node:fs'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { buildMap } from '../../src/map/build.ts'
import { type Daemon, startDaemon, writeConfig } from './daemon.ts'
import { adminPassword, MailboxPair, type PairOptions, password } from './mailbox-pair.ts'
import { Peer } from './peer.ts'
import { RawImap } from './raw-imap.ts'
import { type TempDir, tempDir } from './temp-dir.ts'

export class MovingSite implements AsyncDisposable {
  readonly dir: TempDir
  readonly pair: MailboxPair
  readonly configFile: string
  readonly #configText: string
  daemon: Daemon | undefined
  config!: Config

  private constructor(dir: TempDir, pair: MailboxPair) {
    this.dir = dir
    this.pair = pair
    this.#configText = configOf(pair)
    this.configFile = writeConfig(dir, this.#configText)
  }

  /** Everybody lives on fritz, by a line of their own but for those whom rules place. */
  static async start(
    options: PairOptions & { readonly serves?: boolean; readonly placedByRules?: string[] },
  ): Promise<MovingSite> {
    const dir = tempDir()
    await using opened = new AsyncDisposableStack()
    opened.use(dir)
    const pair = opened.use(await MailboxPair.start(dir, options))
    writeFileSync(dir.join('secret'), `${adminPassword}\n`)
    writeFileSync(dir.join('rules'), '* fritz\n')
    const names = options.users.map((user) => (typeof user === 'string' ? user : user.name))
    const lines = names
      .filter((name) => options.placedByRules?.includes(name) !== true)
      .map((name) => `# ${name} of London\n${name}@example.com\tfritz\n`)
    writeFileSync(dir.join('user_map'), `# people\n${lines.join('')}`)
    const site = new MovingSite(dir, pair)
    const { config } = await loadConfig(site.configFile)
    site.config = config
    await buildMap(config)
    if (options.serves === true) await site.serve()
    opened.move()
    return site
  }

  async serve(): Promise<Daemon> {
    const config = this.#configText
    this.daemon = await startDaemon({ dir: this.dir, config, services: ['smtp', 'imap'] })
    return this.daemon
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon?.[Symbol.asyncDispose]()
    await this.pair[Symbol.asyncDispose]()
    this.dir[Symbol.dispose]()
  }
}

function backend({ imap, lmtp }: { readonly imap: number; readonly lmtp: number }): string {
  const admin = 'admin: {user: mailmux, password_file: secret, style: master}'
  return `{host: 127.0.0.1, imap: ${imap}, lmtp: ${lmtp}, ${admin}}`
}

function configOf({ source, target }: MailboxPair): string {
  return `hostname: mx.example.com
domains: [example.com]
backends:
  fritz: ${backend(source.ports)}
  ingrid: ${backend(target.ports)}
map: {user_map: user_map, rules: rules}
listen: {smtp: ["127.0.0.1:0"], imap: ["127.0.0.1:0"]}
workers: 2
limits: {drain_timeout: 1s}
move: {freeze_limit: 20s}
`
}

/** What was promised to one user: messages by their number in the subject, and their flags. */
export class Ledger {
  readonly delivered = new Set<number>()
  readonly flagged = new Set<number>()
  /** Asked for when the session ended: it may have been done, or not. */
  readonly perhaps = new Set<number>()
  /** How often a sender was told to come again. */
  deferred = 0
  reconnected = 0

  /** Every message that was taken is there once, and no other; flags are as they were given. */
  check(found: readonly { readonly number: number; readonly flags: string }[]): void {
    const numbers = found.map(({ number }) => number).sort((one, other) => one - other)
    assert.deepEqual(
      numbers,
      [...this.delivered].sort((one, other) => one - other),
      'messages',
    )
    for (const { number, flags } of found) {
      if (this.perhaps.has(number)) continue
      assert.equal(flags.includes('\\Flagged'), this.flagged.has(number), `flags of ${number}`)
    }
  }
}

/** The messages of a user's INBOX at a port. */
export async function inboxOf(
  port: number,
  user: string,
): Promise<{ number: number; uid: number; flags: string }[]> {
  using imap = await RawImap.login(port, `${user}@example.com`, password)
  return await readInbox(imap)
}

async function readInbox(imap: RawImap): Promise<{ number: number; uid: number; flags: string }[]> {
  await imap.command('SELECT INBOX')
  const fetched = await imap.command('UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])')
  return fetched
    .filter(({ text }) => / FETCH /.test(text))
    .map(({ text, literals }) => ({
      number: Number(/Subject: m(\d+)/.exec(String(literals[0]))?.[1]),
      uid: Number(/UID (\d+)/.exec(text)?.[1]),
      flags: /FLAGS \(([^)]*)\)/.exec(text)?.[1] ?? '',
    }))
}

/** Sends messages one after the other until the signal; each again until it is taken. */
export async function sendMail(
  port: number,
  user: string,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<void> {
  for (let number = ledger.delivered.size + 1; !signal.aborted; ) {
    using peer = await Peer.connect(port)
    await peer.expect(/^220 .*\r\n/)
    peer.send(`EHLO client.example.net\r\n`)
    await peer.expect(/^250 .*\r\n/m)
    while (!signal.aborted) {
      peer.send(`MAIL FROM:<bob@example.net>\r\nRCPT TO:<${user}@example.com>\r\nDATA\r\n`)
      const [replies] = await peer.expect(/^\d{3} .*\r\n\d{3} .*\r\n\d{3} .*\r\n/)
      const [, , data = ''] = replies.split('\r\n')
      if (data.startsWith('354')) {
        peer.send(`Subject: m${number}\r\nMessage-Id: <${number}@x>\r\n\r\nhello\r\n.\r\n`)
        const [verdict] = await peer.expect(/^\d{3} .*\r\n/)
        if (verdict.startsWith('250')) {
          ledger.delivered.add(number++)
          await turn()
          continue
        }
      }
      ledger.deferred++
      peer.send('RSET\r\n')
      await peer.expect(/^250 .*\r\n/)
      await wait(10)
    }
  }
}

/** A mail program that flags and unflags, and logs in again when its session is ended. */
export async function flagMail(
  port: number,
  user: string,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    let asked: number | undefined
    try {
      using imap = await RawImap.login(port, `${user}@example.com`, password)
      const inbox = await readInbox(imap)
      for (let index = 0; !signal.aborted && index < inbox.length * 4; index++) {
        const one = inbox[(index * 7) % inbox.length]
        if (one === undefined) break
        asked = one.number
        const isOn = !ledger.flagged.has(one.number)
        await imap.command(`UID STORE ${one.uid} ${isOn ? '+' : '-'}FLAGS.SILENT (\\Flagged)`)
        if (isOn) ledger.flagged.add(one.number)
        else ledger.flagged.delete(one.number)
        ledger.perhaps.delete(one.number)
        asked = undefined
      }
    } catch {
      // It is told of the end of its session, or its connection is cut: it comes again.
      if (asked !== undefined) ledger.perhaps.add(asked)
      ledger.reconnected++
    }
  }
}
