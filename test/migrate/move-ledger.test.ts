/**
 * A user who moves there and back while a hundred messages a second come, two mail programs and a POP3
 * client work on them, and a Sieve script is edited: a ledger of what each of them was told.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { delivered, Ledger, mailboxOf, versionOf } from '../support/mail-traffic.ts'
import { manyPeople, MovingSite } from '../support/moving-site.ts'
import { skipWithout } from '../support/tools.ts'

const options = { users: ['ann'], serves: true, hasPop3: true, hasSieve: true } as const

test('of a move under load nothing is lost, nor there twice', {
  skip: skipWithout('dovecot'),
}, async () => {
  await using site = await MovingSite.start(options)
  const ledger = new Ledger()
  const move = async (to: 'fritz' | 'ingrid'): Promise<void> => {
    const { result, record } = await site.move('ann', to)
    assert.equal(result, 'moved', JSON.stringify(record?.details.error))
    const { answered } = ledger.script
    assert.ok((await versionOf(site.dovecot(to).ports.sieve, 'ann')) >= answered)
    await delivered(ledger, ledger.delivered.size + 40)
  }
  const work = async (): Promise<void> => {
    await delivered(ledger, 100)
    await move('ingrid')
    await move('fritz')
  }
  await site.whileUsed('ann', ledger, work, manyPeople)
  const { imap, sieve } = site.dovecot('fritz').ports
  ledger.check(await mailboxOf(imap, 'ann'))
  const { script } = ledger
  const version = await versionOf(sieve, 'ann')
  assert.ok(version >= script.answered && version <= script.asked, `script ${version}`)
  const done = [ledger.flagged, ledger.filed, ledger.deleted, ledger.uidls].map(({ size }) => size)
  assert.ok(
    done.every((count) => count > 0),
    done.join(),
  )
  assert.ok(ledger.deferred > 0 && ledger.reconnected > 0)
})
