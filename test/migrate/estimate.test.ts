/** How long a copy will take, as it is told before. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Allowance } from '../../src/backend/allowance.ts'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import { estimateOf } from '../../src/migrate/estimate.ts'
import { MailboxPair, planFor } from '../support/mailbox-pair.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const { signal } = new AbortController()

const mail = (bytes: number) => ({
  flags: [],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`Subject: x\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}`),
})

describe('what a mailbox amounts to', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    pair = await MailboxPair.start(dir, { users: ['ann', 'bob', 'carl'] })
  })
  after(async () => {
    await pair[Symbol.asyncDispose]()
    dir[Symbol.dispose]()
  })

  /** `share`: of the source. Before and after a pass. */
  async function estimates(user: string, bytesPerSecond?: number) {
    const ends = pair.endsOf(user)
    const clock = new SimulatedClock()
    const share = new Allowance({ connections: undefined, bytesPerSecond, clock }).share()
    // It is told of, and nobody waits for it.
    share.isUrgent = true
    const plan = planFor(dir, user, { ...ends, source: { ...ends.source, share } })
    using journal = await CopyJournal.open(dir.join('state'))
    await using copy = await MailboxCopy.open(plan, journal, signal)
    const estimate = async () => {
      return await estimateOf(copy, await copy.look(), journal.countMessages(plan))
    }
    const first = await estimate()
    await copy.pass({ mirror: true })
    return { first, second: await estimate() }
  }

  test('takes as long as its octets may at least, and what is there already takes no time', async () => {
    using source = await pair.login('source', 'ann')
    await source.append(
      'INBOX',
      Array.from({ length: 20 }, () => mail(7_200)),
    )
    const { first, second } = await estimates('ann', 1_500)
    const { folders, messages, bytes = 0, copy_ms = 0, freeze_ms = 0 } = first
    assert.deepEqual([folders, messages], [1, 20])
    assert.ok(bytes > 20 * 7_000 && freeze_ms > 0)
    const least = (2 * bytes * 1000) / 1_500
    assert.ok(copy_ms >= least && copy_ms < least + 60_000, `${copy_ms} ms, not ${least}`)
    assert.ok((second.copy_ms ?? 0) < 60_000, `${second.copy_ms} ms`)
    assert.deepEqual([second.messages, second.bytes], [20, bytes])
  })

  test('is told of where there is nothing, and where all messages are large', async () => {
    const { first } = await estimates('bob')
    assert.deepEqual([first.messages, Number.isFinite(first.copy_ms)], [0, true])
    using source = await pair.login('source', 'carl')
    await source.append('INBOX', [mail(2_000_000), mail(3_000_000)])
    const large = (await estimates('carl')).first
    assert.ok((large.copy_ms ?? 0) > 0 && Number.isFinite(large.copy_ms), `${large.copy_ms} ms`)
  })

  test('is told of without times where nobody asks for them', async () => {
    using journal = await CopyJournal.open(dir.join('state'))
    const plan = planFor(dir, 'bob', pair.endsOf('bob'))
    await using copy = await MailboxCopy.open(plan, journal, signal)
    const { copy_ms, freeze_ms } = await estimateOf(copy, await copy.look())
    assert.deepEqual([copy_ms, freeze_ms], [undefined, undefined])
  })
})
