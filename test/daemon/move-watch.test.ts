/** The daemon looks after moves that no command works on any more. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import type { EventFields, Log } from '../../src/base/log.ts'
import { MoveWatch } from '../../src/daemon/move-watch.ts'
import { MoveJournal, type Move } from '../../src/map/state/move-journal.ts'
import { MovingSite } from '../support/moving-site.ts'
import { skipWithout } from '../support/tools.ts'

const letter = 'Subject: by another way\r\n\r\nhello\r\n'

/** A command that prints it. */
const program = (text: string) => [process.execPath, '-e', `console.log(${JSON.stringify(text)})`]

describe('the daemon', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    const users = ['ann', 'bob', 'carl']
    site = await MovingSite.start({ users, serves: true, moveLines: ['due_every: 1s'] })
  })
  after(() => site[Symbol.asyncDispose]())

  /** The last move of a user is written down as one of a minute before. */
  async function age(user: string, changes: Partial<Move> = {}): Promise<void> {
    using journal = await MoveJournal.open(site.config.stateDir)
    const last = journal.lastOf(`${user}@example.com`) ?? assert.fail()
    const past = Date.now() - 61_000
    const details = { ...last.details, flippedAt: past, sweptAt: past }
    journal.enter(last, { details, ...changes })
  }

  const settled = async (user: string) => {
    await site.daemon?.waitFor('move.settled', ['bob', 'carl'].indexOf(user) + 1)
    const events = site.daemon?.eventsOf('move.settled') ?? []
    return events.find((event) => event['user'] === `${user}@example.com`) ?? assert.fail()
  }

  test('sweeps where a user was a minute after the move, and counts what it found', async () => {
    assert.equal((await site.move('bob', 'ingrid')).result, 'moved')
    site.inside('bob', ['save'], letter)
    await age('bob')
    const { swept, problems, source } = await settled('bob')
    assert.deepEqual([swept, problems, source], [1, [], 'fritz'])
    using target = await site.pair.login('target', 'bob')
    assert.equal((await target.contents('INBOX')).length, 1)
    const { metrics } = (await site.daemon?.status()) ?? assert.fail()
    const page = async () => await (await fetch(`http://${metrics?.[0]}/metrics`)).text()
    let text = await page()
    // What is told was read a second ago at most.
    for (
      const until = Date.now() + 10_000;
      /stragglers_total 0/.test(text) && Date.now() < until;
    ) {
      text = await page()
    }
    assert.match(text, /^mailmux_move_stragglers_total 1$/m)
    assert.match(text, /^mailmux_moves\{step="kept"\} 1$/m)
  })

  test('ends a move whose command was killed after the flip', async () => {
    assert.equal((await site.move('carl', 'ingrid')).result, 'moved')
    site.inside('carl', ['save'], letter)
    await age('carl', { step: 'flipped' })
    assert.equal((await settled('carl'))['moved'], 'ingrid')
    using journal = await MoveJournal.open(site.config.stateDir)
    assert.equal(journal.lastOf('carl@example.com')?.step, 'kept')
    using target = await site.pair.login('target', 'carl')
    assert.equal((await target.contents('INBOX')).length, 1)
  })

  test('says what a command printed that could not do its work, and goes on', async () => {
    assert.equal((await site.move('ann', 'ingrid')).result, 'moved')
    await age('ann')
    const { config } = site
    assert.match(await logged(config, ['/no/such/program']), /ENOENT/)
    assert.match(await logged(config, program('no JSON')), /JSON/)
    const failure = { error: { code: 'X', message: 'the disk is full' } }
    assert.match(await logged(config, program(JSON.stringify(failure))), /^the disk is full$/)
  })
})

/** What a watch logs as its own failure. */
async function logged(config: MovingSite['config'], program: readonly string[]): Promise<string> {
  const events = new EventTarget()
  const log: Log = (name, fields) => {
    assert.equal(name, 'internal')
    const { reason, detail } = fields as EventFields['internal']
    assert.equal(reason, 'moves')
    events.dispatchEvent(new CustomEvent('internal', { detail }))
  }
  const told = once(events, 'internal')
  await using _watch = new MoveWatch(config, { program, log })
  const [event] = (await told) as [CustomEvent<string>]
  return event.detail
}
