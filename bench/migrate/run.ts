/**
 * Copies of one mailbox from Dovecot to Dovecot, by mailmux, by mbsync (Debian: isync) and by
 * `doveadm backup` over IMAP, as it comes and with messages asked for ahead: a first and a second run
 * of each in turn, every time into mailboxes that are new. The time, and the CPU time and the most
 * memory of the copying program alone.
 * `run.ts [--pairs N] [--scale F]`; `run.ts jobs` copies several mailboxes at once; `run.ts large` one
 * folder of 100,000 messages; `run.ts freeze [--moves N] [--scale F]` see freeze.ts; `run.ts ledger
 * [--moves N] [--seed S]` see ledger.ts.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { buildMap } from '../../src/map/build.ts'
import { loadConfig } from '../../src/config/load.ts'
import { adminPassword, MailboxPair, password } from '../../test/support/mailbox-pair.ts'
import { tempDir, type TempDir } from '../../test/support/temp-dir.ts'
import { skipWithout } from '../../test/support/tools.ts'
import { measureFreeze } from './freeze.ts'
import { checkMoves } from './ledger.ts'

const { values, positionals } = parseArgs({
  options: {
    pairs: { type: 'string', default: '1' },
    scale: { type: 'string', default: '1' },
    moves: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
  allowPositionals: true,
})
const [pairs, scale] = [Number(values.pairs), Number(values.scale)]
const bin = new URL('../../bin/run.js', import.meta.url).pathname

interface Workload {
  readonly name: string
  readonly count: number
  readonly bytes: number
}

const workloads: readonly Workload[] = [
  { name: '4k', count: Math.ceil(10_000 * scale), bytes: 4_096 },
  { name: '5M', count: Math.ceil(200 * scale), bytes: 5_000_000 },
]

interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMiB: number
}

/** Runs a program to its end; what it used is read while it runs, so the last 20 ms are missing. */
async function costOf(command: string, args: readonly string[]): Promise<Cost> {
  const startedAt = performance.now()
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const used = { cpuSeconds: 0, peakMiB: 0 }
  const look = (): void => {
    try {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1]?.split(' ')
      const status = readFileSync(`/proc/${child.pid}/status`, 'latin1')
      const peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
      // proc(5): utime and stime, in hundredths of a second.
      used.cpuSeconds = (Number(stat?.[11]) + Number(stat?.[12])) / 100
      used.peakMiB = Math.max(used.peakMiB, peak)
    } catch {
      // It has ended.
    }
  }
  const timer = setInterval(look, 20)
  const [code] = (await once(child, 'close')) as [number]
  clearInterval(timer)
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${said}`)
  return { seconds: (performance.now() - startedAt) / 1000, ...used }
}

type Tool = (user: string, options?: readonly string[]) => Promise<Cost>

function mailmux(dir: TempDir, verify = 'none'): Tool {
  const words = ['migrate', '--from', 'fritz', '--to', 'ingrid', '--verify', verify]
  const config = ['--config', dir.join('mailmux.yaml')]
  return (user, options = []) =>
    costOf(process.execPath, [bin, ...words, ...config, '--users', user, ...options])
}

function mbsync(dir: TempDir, pair: MailboxPair): Tool {
  return (user) => {
    const store = (name: string, port: number): string =>
      `IMAPAccount ${name}\nHost 127.0.0.1\nPort ${port}\nUser ${user}@example.com\nPass "${password}"\nSSLType None\nAuthMechs LOGIN\n\nIMAPStore ${name}\nAccount ${name}\n\n`
    const state = dir.join(`mbsync-${user}`)
    mkdirSync(state, { recursive: true })
    const file = dir.join(`mbsyncrc-${user}`)
    const channel = `Channel copy\nFar :a:\nNear :b:\nPatterns *\nSync Pull\nCreate Near\nCopyArrivalDate yes\nSyncState ${state}/\n`
    writeFileSync(
      file,
      store('a', pair.source.ports.imap) + store('b', pair.target.ports.imap) + channel,
    )
    return costOf('mbsync', ['-q', '-c', file, 'copy'])
  }
}

/** What makes `doveadm backup` ask for messages before it needs them; by itself it does not. */
const ahead = { imapc_features: 'rfc822.size fetch-headers', mail_prefetch_count: 20 }

/** It writes the new mailbox itself, into the store, as the server there would. */
function doveadm(
  { source, target }: MailboxPair,
  more: Readonly<Record<string, unknown>> = {},
): Tool {
  const settings = {
    imapc_host: '127.0.0.1',
    imapc_port: source.ports.imap,
    imapc_password: password,
    ...more,
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  return (user) => {
    const own = [...options, '-o', `imapc_user=${user}@example.com`]
    const what = ['backup', '-R', '-u', `${user}@example.com`, 'imapc:']
    return costOf('doveadm', ['-c', target.configFile, ...own, ...what])
  }
}

function backend(port: number): string {
  return `{host: 127.0.0.1, imap: ${port}, admin: {user: mailmux, password_file: secret}}`
}

/** `lines`: more of the config of both servers. */
async function prepare(
  dir: TempDir,
  users: readonly string[],
  lines: readonly string[] = [],
): Promise<MailboxPair> {
  const pair = await MailboxPair.start(dir, { users, source: lines, target: lines })
  writeFileSync(dir.join('secret'), adminPassword)
  writeFileSync(
    dir.join('mailmux.yaml'),
    `hostname: mx\ndomains: [example.com]\nbackends:\n  fritz: ${backend(pair.source.ports.imap)}\n  ingrid: ${backend(pair.target.ports.imap)}\nmap: {rules: rules}\nstate_dir: state\n`,
  )
  writeFileSync(dir.join('rules'), '* fritz\n')
  await buildMap((await loadConfig(dir.join('mailmux.yaml'))).config)
  return pair
}

async function fill(pair: MailboxPair, user: string, { count, bytes }: Workload): Promise<void> {
  const line = `${'x'.repeat(70)}\r\n`
  const body = line.repeat(Math.ceil(bytes / line.length))
  const messages = Array.from({ length: count }, (_, index) => ({
    flags: index % 2 === 0 ? ['\\Seen'] : [],
    date: '17-Jul-1996 02:44:25 -0700',
    body: Buffer.from(`Message-Id: <${index}@x>\r\nSubject: ${index}\r\n\r\n${body}`),
  }))
  using source = await pair.login('source', user)
  for (let at = 0; at < count; at += 20) await source.append('INBOX', messages.slice(at, at + 20))
}

function describe({ seconds, cpuSeconds, peakMiB }: Cost): string {
  return `${seconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s, ${Math.round(peakMiB)} MiB`
}

async function measure(workload: Workload): Promise<void> {
  using dir = tempDir()
  const names = [
    'mailmux',
    ...(skipWithout('mbsync') === false ? ['mbsync'] : []),
    'doveadm',
    'doveadm-ahead',
  ]
  await using pair = await prepare(dir, names)
  const tools = new Map([
    ['mailmux', mailmux(dir)],
    ['mbsync', mbsync(dir, pair)],
    ['doveadm', doveadm(pair)],
    ['doveadm-ahead', doveadm(pair, ahead)],
  ])
  for (const name of names) await fill(pair, name, workload)
  for (const name of names) {
    for (const which of ['first', 'second']) {
      const cost = await tools.get(name)?.(name)
      if (cost !== undefined) console.log(`${workload.name} ${name} ${which}: ${describe(cost)}`)
    }
  }
}

/** Twelve mailboxes, eight of them at a time. */
async function measureJobs(): Promise<void> {
  using dir = tempDir()
  const users = Array.from({ length: 12 }, (_, index) => `user${index}`)
  await using pair = await prepare(dir, users)
  const workload = { name: 'jobs', count: Math.ceil(300 * scale), bytes: 64 * 1024 }
  for (const user of users) await fill(pair, user, workload)
  writeFileSync(dir.join('users'), users.map((user) => `${user}@example.com\n`).join(''))
  const cost = await mailmux(dir)(dir.join('users'), ['--jobs', '8'])
  console.log(`12 mailboxes of ${workload.count} messages of 64 KiB: ${describe(cost)}`)
}

/** What a server says that offers neither CONDSTORE nor states of folders in a list. */
const plainServer = [
  'protocol imap {',
  '  imap_capability = IMAP4rev1 LITERAL+ SASL-IR UIDPLUS MULTIAPPEND NAMESPACE',
  '}',
]

/** One folder, for its memory: copied, found unchanged, and compared octet for octet. */
async function measureLarge(): Promise<void> {
  for (const [name, lines] of [
    ['CONDSTORE', []],
    ['no CONDSTORE', plainServer],
  ] as const) {
    using dir = tempDir()
    await using pair = await prepare(dir, ['ann'], lines)
    await fill(pair, 'ann', { name, count: Math.ceil(100_000 * scale), bytes: 1024 })
    for (const [which, verify] of [
      ['first', 'none'],
      ['second', 'none'],
      ['compared', 'full'],
    ] as const) {
      console.log(`large, ${name}, ${which}: ${describe(await mailmux(dir, verify)('ann'))}`)
    }
  }
}

if (positionals[0] === 'large') await measureLarge()
if (positionals[0] === 'jobs') {
  for (let number = 1; number <= pairs; number++) await measureJobs()
}
if (positionals[0] === 'freeze') {
  await measureFreeze({ messages: Math.ceil(50_000 * scale), moves: Number(values.moves) })
}
if (positionals[0] === 'ledger') {
  await checkMoves({ moves: Number(values.moves), seed: Number(values.seed) })
}
for (const workload of positionals.length === 0 ? workloads : []) {
  for (let number = 1; number <= pairs; number++) await measure(workload)
}
