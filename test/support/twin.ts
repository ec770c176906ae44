/**
 * One of two mailboxes that are equal in all but their names, with the way to it, and what of a session
 * with it must differ from one with the other.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { RawImap, type RawMessage } from './raw-imap.ts'
import { runTool, type ToolResult } from './tools.ts'

export const backendNames = ['fritz', 'klaus'] as const
export type BackendName = (typeof backendNames)[number]

/** By the last letter: with implicit TLS. */
export interface Ports {
  readonly imap: number
  readonly imaps: number
  readonly pop3: number
  readonly pop3s: number
  readonly sieve: number
  readonly submission: number
}

export const password = 'open sesame'
type TwinOptions = Pick<
  Twin,
  'way' | 'backend' | 'login' | 'ports' | 'imapOfBackend' | 'caFile' | 'home'
>

/** One of two equal mailboxes, and the way to it. */
export class Twin {
  readonly way: 'direct' | 'proxied'
  readonly backend: BackendName
  readonly login: string
  readonly ports: Ports
  /** IMAP of the back-end itself. */
  readonly imapOfBackend: number
  readonly caFile: string
  /** A folder for the program, and its home. */
  readonly home: string
  readonly #uidValidities: string[] = []

  constructor(options: TwinOptions) {
    this.way = options.way
    this.backend = options.backend
    this.login = options.login
    this.ports = options.ports
    this.imapOfBackend = options.imapOfBackend
    this.caFile = options.caFile
    this.home = options.home
    mkdirSync(this.home)
  }

  join(name: string): string {
    return `${this.home}/${name}`
  }

  /** A file in its home that nobody else may read; returns its name. */
  write(name: string, text: string): string {
    writeFileSync(this.join(name), text, { mode: 0o600 })
    return this.join(name)
  }

  /** Runs a program, whether it succeeds or not; one that hangs is ended. */
  attempt(command: string, ...args: readonly string[]): Promise<ToolResult> {
    return runTool(this.home, 'timeout', ['--kill-after=2', '30', command, ...args])
  }

  /** Runs a program that must succeed. */
  async run(command: string, ...args: readonly string[]): Promise<ToolResult> {
    const result = await this.attempt(command, ...args)
    assert.equal(result.code, 0, `${command} ${this.way}: ${result.stdout}${result.stderr}`)
    return result
  }

  /** The octets that a program writes which must succeed, as latin1. */
  async octets(command: string, ...args: readonly string[]): Promise<string> {
    await this.run('sh', '-c', 'exec "$@" > octets', 'sh', command, ...args)
    return this.neutral(readFileSync(this.join('octets'), 'latin1'))
  }

  /** The mailbox as its back-end shows it, past the proxies. */
  imap(): Promise<RawImap> {
    return RawImap.login(this.imapOfBackend, this.login, password)
  }

  async fill(): Promise<void> {
    using imap = await this.imap()
    await imap.append('INBOX', letters)
    await imap.command('CREATE "with blank"')
    await imap.append('with blank', [letter('filed', 'away\r\n', ['\\Seen', '\\Flagged'])])
    await imap.command('CREATE "Entw&APw-rfe"')
    for (const name of folders) {
      await imap.command(`SUBSCRIBE "${name}"`)
      const [status] = await imap.command(`STATUS "${name}" (UIDVALIDITY)`)
      const [, value] = /UIDVALIDITY (\d+)/.exec(status?.text ?? '') ?? []
      this.#uidValidities.push(value ?? assert.fail(name))
    }
  }

  /** A text without what must be another one for its twin. */
  neutral(text: string): string {
    const ports = Object.values(this.ports).filter((port) => port > 0)
    const uidValidities = this.#uidValidities.map(Number)
    const own: readonly [string, string][] = [
      // First, since it has the name of the user in it.
      [this.home, 'HOME'],
      [this.login.replace(/@.*/, ''), 'USER'],
      ...ports.map((port): [string, string] => [`\\b${port}\\b`, 'PORT']),
      // When its folders were made: a part of POP3's UIDLs, too, where Dovecot writes it in hex.
      ...uidValidities.map((value): [string, string] => [`\\b${value}\\b`, 'MADE']),
      ...uidValidities.map((value): [string, string] => [
        value.toString(16).padStart(8, '0'),
        'MADE',
      ]),
    ]
    return [...differing, ...own].reduce(
      (rest, [pattern, name]) => rest.replace(new RegExp(pattern, 'gm'), name),
      text,
    )
  }
}

/** What is another one in every session, and why. */
const differing: readonly [string, string][] = [
  // Of folders that the program made.
  [String.raw`(UIDVALIDITY|COPYUID|APPENDUID) \d{9,}`, '$1 n'],
  // Of Cyrus: a name that is drawn for each folder, and one for each session.
  [String.raw`MAILBOXID \(\w+\)`, 'MAILBOXID (id)'],
  ['SESSIONID=<[^>]+>', 'SESSIONID=<id>'],
  // How long a command took, as Dovecot writes it, and as Cyrus does in three ways.
  [String.raw`\([0-9.]+ \+ [0-9. +]+secs\)`, '(time)'],
  [String.raw`[0-9.]+ secs?(?= \d+ calls|\))`, 'time'],
  // By which mbsync finds what it has stored.
  [String.raw`^X-TUID: .{12}(?=\r?$)`, 'X-TUID: id'],
  // Of trace lines: when and as what a message came to Dovecot and to the relay of the site.
  [String.raw`(Received: [^;]*;\s+)\w{3}, \d.* [+-]\d{4}`, '$1date'],
  [String.raw`\bid (?:[\w+/]{22}|\d+-\d+)(?=\r?$)`, 'id ID'],
  // The same, as Dovecot tells who has sent it.
  [String.raw`(?<=> )[\w+/]{22}(?= Saved)`, 'ID'],
]

/**
 * Lines of a session from the answer to its login on. What is said before is for a front end to say
 * (../../docs/flow.md): its own name, what all back-ends have in common, its TLS.
 */
export function sinceLogin(text: string): string[] {
  const lines = text.split('\n')
  const at = lines.findIndex((line) =>
    /(?:OK|235) .*(?:logged in|locked and ready|Success \(tls)/i.test(line),
  )
  assert(at !== -1, text)
  return lines.slice(at)
}

/** A text, or for one that nobody would read its length and its hash. */
export function brief(text: string): string {
  if (text.length < 10_000) return text
  return `${text.length} octets: ${createHash('sha256').update(text, 'latin1').digest('hex')}`
}

export type Round = (twin: Twin) => Promise<unknown>

/** A message of `subject` that came long ago. */
function letter(subject: string, text: string, flags: readonly string[] = []): RawMessage {
  const head = 'From: Ann <a@example.net>\r\nDate: Mon, 2 Nov 2020 10:00:00 +0000\r\n'
  const body = `${head}Subject: ${subject}\r\nMessage-Id: <${subject}@example.net>\r\n\r\n${text}`
  return { flags, date: ' 2-Nov-2020 11:22:33 +0000', body: Buffer.from(body, 'latin1') }
}

/** What proxies and programs could spoil, and what streams. */
const letters = [
  letter('plain', 'text of plain\r\n', ['\\Seen']),
  letter('dots', '.\r\n..\r\n.x\r\n* 1 EXISTS\r\n+OK\r\na OK done\r\n{3}\r\n', ['\\Flagged']),
  letter('octets', 'Gr\xc3\xbc\xc3\x9fe \xff\xfe\x80 aus K\xf6ln\t \r\n', ['\\Answered', 'old']),
  letter('large', `${'x'.repeat(70)}\r\n`.repeat(5000)),
  letter('end', 'no line end here'),
]

const folders = ['INBOX', 'with blank', 'Entw&APw-rfe'] as const
