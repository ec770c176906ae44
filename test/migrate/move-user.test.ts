/** `mailmux user move` between two Dovecots behind a running daemon, while mail arrives and is read. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { MoveStep } from '../../src/map/state/move-journal.ts'
import { runCommand } from '../support/command.ts'
import { delivered, Ledger, mailboxOf } from '../support/mail-traffic.ts'
import { password } from '../support/mailbox-pair.ts'
import { killAt } from '../support/killed-at.ts'
import { MovingSite } from '../support/moving-site.ts'
import { Peer } from '../support/peer.ts'
import { skipWithout } from '../support/tools.ts'

/** `MOVE_KILLS=all` for every one, which takes its time; without traffic: move-kills.test.ts. */
const kills: readonly (readonly [MoveStep, 'before' | 'after'])[] =
  process.env['MOVE_KILLS'] === 'all'
    ? (
        [
          'copying',
          'freezing',
          'settling',
          'verifying',
          'flipping',
          'flipped',
          'sweeping',
          'kept',
        ] as const
      ).flatMap((step) => [[step, 'before'] as const, [step, 'after'] as const])
    : [
        ['freezing', 'after'],
        ['flipped', 'before'],
        ['flipped', 'after'],
      ]
/** Those that leave the user at the target; and the last before it, which is not one of them. */
const afterFlip: ReadonlySet<MoveStep> = new Set(['flipped', 'sweeping', 'kept'])

describe('a user who moves', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    const users = ['ann', 'bob', 'carl', 'dora']
    site = await MovingSite.start({ users, placedByRules: ['dora'], serves: true })
  })
  after(() => site[Symbol.asyncDispose]())

  const command = (...words: string[]) => runCommand([...words, '--config', site.configFile])

  test('has every message once, while mail arrives, is flagged, filed and deleted, there and back', async () => {
    const ledger = new Ledger()
    using idler = await Peer.connect(site.daemon?.port('imap') ?? 0)
    await idler.expect(/^\* OK .*\r\n/)
    idler.send(`a LOGIN ann@example.com "${password}"\r\nb SELECT INBOX\r\nc IDLE\r\n`)
    await idler.expect(/\r\n\+ .*\r\n/)
    await site.whileUsed('ann', ledger, async () => {
      await delivered(ledger, 100)
      const there = await site.move('ann', 'ingrid')
      assert.equal(there.result, 'moved', JSON.stringify(there.record?.details.error))
      const count = ledger.delivered.size
      await delivered(ledger, count + 20)
    })
    await idler.expect(/\* BYE \[UNAVAILABLE\]/)
    ledger.check(await mailboxOf(site.pair.target.ports.imap, 'ann'))
    assert.ok(ledger.deferred + ledger.reconnected > 0)
    assert.match(
      readFileSync(site.dir.join('user_map'), 'utf8'),
      /\n# ann of London\nann@example\.com\tingrid\n/,
    )

    await site.whileUsed('ann', ledger, async () => {
      const back = await site.move('ann', 'fritz')
      assert.equal(back.result, 'moved', JSON.stringify(back.record?.details.error))
      // What was there already was not copied again.
      assert.ok((back.record?.details.copied ?? 0) < ledger.delivered.size)
      await delivered(ledger, ledger.delivered.size + 10)
    })
    ledger.check(await mailboxOf(site.pair.source.ports.imap, 'ann'))
    const built = await command('build-map', '--check')
    assert.equal(built.code, 0, built.stderr)
  })

  const killedAt = (user: string, step: MoveStep, when: 'before' | 'after'): Promise<void> =>
    killAt({ configFile: site.configFile, user, step, when })

  test('killed at its steps, it is gone on with, or given up, and nothing is lost', async () => {
    const ledger = new Ledger()
    await site.whileUsed('bob', ledger, async () => {
      await delivered(ledger, 30)
      for (const [step, when] of kills.filter(([step]) => !afterFlip.has(step))) {
        await killedAt('bob', step, when)
      }
      const givenUp = await site.move('bob', 'ingrid', { order: 'aborted' })
      assert.equal(givenUp.result, 'aborted')
      await delivered(ledger, ledger.delivered.size + 10)
    })
    ledger.check(await mailboxOf(site.pair.source.ports.imap, 'bob'))
    assert.match(readFileSync(site.dir.join('user_map'), 'utf8'), /\nbob@example\.com\tfritz\n/)

    await site.whileUsed('bob', ledger, async () => {
      for (const [step, when] of kills.filter(([step]) => afterFlip.has(step))) {
        await killedAt('bob', step, when)
      }
      const late = await site.move('bob', 'ingrid', { order: 'aborted' })
      assert.equal(late.record?.details.error?.code, 'MOVE_FLIPPED')
      const done = await site.move('bob', 'ingrid')
      assert.match(done.result, /^(?:moved|there)$/)
      await delivered(ledger, ledger.delivered.size + 10)
    })
    ledger.check(await mailboxOf(site.pair.target.ports.imap, 'bob'))
    assert.match(readFileSync(site.dir.join('user_map'), 'utf8'), /\nbob@example\.com\tingrid\n/)
  })
})
