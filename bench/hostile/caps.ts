/** Sessions that send all that they may before a login and wait, ten thousand of each kind. */
import { readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../../src/base/limit.ts'
import { holdSessions, openRig } from '../rig/rig.ts'
import { close, isOpen, openMany } from './client.ts'
import { memoryGroup, Site } from './site.ts'

interface Kind {
  readonly what: string
  readonly service: 'imap' | 'pop3' | 'sieve' | 'smtp'
  /** Nearly as much as is listened to, without an end. */
  readonly text: string
}

/** So much less than a cap: its last octets would end the session. */
const slack = 16

function filled(before: string, filling: string, capBytes: number): string {
  const room = capBytes - before.length - slack
  return before + filling.repeat(Math.floor(room / filling.length))
}

const literal = `{4096+}\r\n${'x'.repeat(4096)} `
const kinds: readonly Kind[] = [
  {
    what: 'IMAP line',
    service: 'imap',
    text: filled('a NOOP ', '(', limits.imapLineBytes),
  },
  {
    what: 'IMAP command of literals',
    service: 'imap',
    text: filled('a ID (', literal, limits.imapCommandBytes),
  },
  {
    what: 'IMAP literal that was asked for',
    service: 'imap',
    text: filled('a LOGIN {8192}\r\n', 'x', limits.imapSyncLiteralBytes),
  },
  {
    what: 'POP3 line of SASL',
    service: 'pop3',
    text: filled('AUTH PLAIN\r\n', 'A', limits.saslLineBytes),
  },
  {
    what: 'ManageSieve command',
    service: 'sieve',
    text: filled('NOOP "', 'x', limits.sieveQuotedBytes),
  },
  {
    what: 'SMTP line',
    service: 'smtp',
    text: filled('EHLO c\r\n', 'x', limits.smtpCommandBytes),
  },
]

/** Opens them and has them send; returns how to end them, when the daemon has read it all. */
async function fill(site: Site, kind: Kind, count: number): Promise<Disposable> {
  const clients = await openMany(site.ports[kind.service], count)
  for (const { socket } of clients) socket.write(kind.text)
  while (clients.some(({ socket }) => socket.writableLength > 0)) await delay(100)
  await site.status()
  await delay(1000)
  const gone = clients.filter((client) => !isOpen(client)).length
  if (gone > 0) throw new Error(`${kind.what}: ${gone} sessions were ended`)
  return { [Symbol.dispose]: () => close(clients) }
}

async function idle(site: Site): Promise<void> {
  for (let left = 1; left > 0; await delay(200)) {
    const { services } = await site.status()
    left = services.reduce((sum, { sessions }) => sum + sessions, 0)
  }
}

/** Each kind by itself. */
export async function measureCaps(count: number, say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  await using site = await Site.start(rig, { workers: 2, limits: 'sessions: 20000' })
  const first = site.residentMib
  say(`${count} sessions of a kind, two workers; idle: ${first.toFixed(0)} MiB`)
  for (const kind of kinds) {
    const before = site.residentMib
    {
      using _sessions = await fill(site, kind, count)
      const each = ((site.residentMib - before) * 1024) / count
      const sent = (kind.text.length / 1024).toFixed(1)
      const whole = site.residentMib.toFixed(0)
      say(`  ${kind.what}: ${sent} KiB sent, ${each.toFixed(1)} KiB each; ${whole} MiB in all`)
    }
    await idle(site)
    // It gives back what sessions have left when it has been quiet for a while.
    await delay(45_000)
    say(`    after they have gone: ${site.residentMib.toFixed(0)} MiB`)
  }
  say(`  workers that ended: ${site.count('worker.exited')}; internal: ${site.count('internal')}`)
}

function groupMib(name: string): number {
  return Number(readFileSync(join(memoryGroup(), `memory.${name}`), 'utf8')) / 1024 / 1024
}

/** All kinds beside many idle sessions, in little memory. */
export async function measureGroup(
  { idleSessions, each, mebibytes }: { idleSessions: number; each: number; mebibytes: number },
  say: (line: string) => void,
): Promise<void> {
  await using rig = await openRig()
  {
    await using site = await Site.start(rig, {
      workers: 2,
      limits: 'sessions: 20000',
      memoryBytes: mebibytes * 1024 * 1024,
    })
    const args = ['-P', 'imap', '-p', `${site.ports.imap}`, '-c', '100', '-n', `${idleSessions}`]
    await holdSessions(['idle', ...args], async () => {
      using open = new DisposableStack()
      for (const kind of kinds) open.use(await fill(site, kind, each))
      const [now, most] = [groupMib('usage_in_bytes'), groupMib('max_usage_in_bytes')]
      say(`${idleSessions} idle sessions and ${each} of each kind in ${mebibytes} MiB, two workers`)
      say(`  ${now.toFixed(0)} MiB in use, at most ${most.toFixed(0)}`)
      say(`  workers, resident: ${site.residentMib.toFixed(0)} MiB`)
    })
    say(`  workers that ended: ${site.count('worker.exited')}`)
  }
  rmdirSync(memoryGroup())
}
