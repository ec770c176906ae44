/**
 * How long users are frozen: moves of one large mailbox between two real Dovecots behind `mailmux
 * serve`, there and back again, while mail comes by the relay, and a mail program flags and deletes by
 * the proxy. What is counted is the whole freeze, from the first word of it to the daemon until the
 * daemon has let the user in again, and the steps that it is made of.
 */
import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { password } from '../../test/support/mailbox-pair.ts'
import { MovingSite } from '../../test/support/moving-site.ts'
import { Peer } from '../../test/support/peer.ts'
import { RawImap } from '../../test/support/raw-imap.ts'

export interface FreezeOptions {
  readonly messages: number
  readonly moves: number
}

/** Between a message and the next, a flag and the next, an expunge and the next. */
const changeEveryMs = 200
/** Steps of a freeze, by what is done in them. */
const parts = {
  freezing: 'barrier',
  settling: 'delta',
  verifying: 'verify',
  flipping: 'flip',
  flipped: 'thaw',
} as const
type Part = (typeof parts)[keyof typeof parts]

interface Freeze {
  readonly totalMs: number
  readonly partsMs: ReadonlyMap<Part, number>
}

/** Changes to the mailbox that were answered. */
interface Changes {
  sent: number
  expunged: number
  /** Asked for when its session was ended. */
  perhaps: number
}

export async function measureFreeze({ messages, moves }: FreezeOptions): Promise<void> {
  await using site = await MovingSite.start({ users: ['ann'], serves: true })
  await fill(site, messages)
  const changes: Changes = { sent: 0, expunged: 0, perhaps: 0 }
  const freezes: Freeze[] = []
  let home = 'fritz' as 'fritz' | 'ingrid'
  for (let count = 0; count < moves; count++) {
    const target = home === 'fritz' ? 'ingrid' : 'fritz'
    const startedAt = performance.now()
    const freeze = await whileUsed(site, changes, () => frozenFor(site, target))
    freezes.push(freeze)
    home = target
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`move ${count + 1}: ${seconds} s, ${describe(freeze)}`)
  }
  using imap = await RawImap.login(site.dovecot(home).ports.imap, 'ann@example.com', password)
  const left = (await imap.uids('INBOX')).length
  const wanted = messages + changes.sent - changes.expunged
  assert.ok(left <= wanted && left >= wanted - changes.perhaps, `${left} messages, not ${wanted}`)
  const { sent, expunged } = changes
  console.log(`${messages} messages; ${sent} came, ${expunged} were deleted; none lost, none twice`)
  for (const line of summaryOf(freezes)) console.log(line)
}

async function fill(site: MovingSite, count: number): Promise<void> {
  using source = await site.pair.login('source', 'ann')
  const date = '17-Jul-1996 02:44:25 -0700'
  for (let at = 0; at < count; at += 3_000) {
    const messages = Array.from({ length: Math.min(3_000, count - at) }, (_, index) => ({
      flags: index % 2 === 0 ? ['\\Seen'] : [],
      date,
      body: Buffer.from(`Message-Id: <${at + index}@x>\r\nSubject: ${at + index}\r\n\r\nhello\r\n`),
    }))
    await source.append('INBOX', messages)
  }
}

async function frozenFor(site: MovingSite, target: string): Promise<Freeze> {
  const partsMs = new Map<Part, number>()
  let current: Part | undefined
  let since = 0
  const report = await site.move('ann', target, {
    step: ({ step }) => {
      const now = performance.now()
      if (current !== undefined) partsMs.set(current, (partsMs.get(current) ?? 0) + now - since)
      current = step in parts ? parts[step as keyof typeof parts] : undefined
      since = now
    },
  })
  const { details } = report.record ?? {}
  assert.equal(report.result, 'moved', JSON.stringify(details?.error))
  return { totalMs: details?.freezeMs ?? 0, partsMs }
}

async function whileUsed<Result>(
  site: MovingSite,
  changes: Changes,
  work: () => Promise<Result>,
): Promise<Result> {
  const ended = new AbortController()
  const [smtp, imap] = [site.daemon?.port('smtp') ?? 0, site.daemon?.port('imap') ?? 0]
  const traffic = [send(smtp, changes, ended.signal), change(imap, changes, ended.signal)]
  try {
    return await work()
  } finally {
    ended.abort()
    await Promise.all(traffic)
  }
}

/** One message after the other; what is put off counts when it is taken. */
async function send(port: number, changes: Changes, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    using peer = await Peer.connect(port)
    await peer.expect(/^220 .*\r\n/)
    peer.send('EHLO client.example.net\r\n')
    await peer.expect(/^250 .*\r\n/m)
    peer.send('MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
    const [replies] = await peer.expect(/^\d{3} .*\r\n\d{3} .*\r\n\d{3} .*\r\n/)
    if (/^354/m.test(replies)) {
      peer.send('Subject: new\r\n\r\nhello\r\n.\r\n')
      const [verdict] = await peer.expect(/^\d{3} .*\r\n/)
      if (verdict.startsWith('250')) changes.sent++
    }
    await wait(changeEveryMs)
  }
}

async function change(port: number, changes: Changes, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let isExpunging = false
    try {
      using imap = await RawImap.login(port, 'ann@example.com', password)
      await imap.command('SELECT INBOX')
      for (let at = 7; !signal.aborted; at = (at * 31) % 997) {
        await imap.command(`STORE ${at + 1} FLAGS.SILENT (\\Flagged \\Seen)`)
        isExpunging = true
        await imap.command(`STORE ${at + 2} +FLAGS.SILENT (\\Deleted)`)
        await imap.command('EXPUNGE')
        isExpunging = false
        changes.expunged++
        await wait(changeEveryMs)
      }
    } catch {
      // Its session was ended, or is not let in yet.
      if (isExpunging) changes.perhaps++
      await wait(20)
    }
  }
}

function describe({ totalMs, partsMs }: Freeze): string {
  const shares = [...partsMs].map(([part, ms]) => `${part} ${Math.round(ms)}`)
  return `frozen for ${totalMs} ms (${shares.join(', ')})`
}

function summaryOf(freezes: readonly Freeze[]): string[] {
  const rows = new Map<string, number[]>([['freeze', freezes.map(({ totalMs }) => totalMs)]])
  for (const part of Object.values(parts)) {
    rows.set(
      part,
      freezes.map(({ partsMs }) => partsMs.get(part) ?? 0),
    )
  }
  return [...rows].map(([name, all]) => {
    const sorted = all.toSorted((one, other) => one - other)
    const at = (share: number): number =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0)
    return `${name}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`
  })
}
