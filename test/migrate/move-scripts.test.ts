/** What `user move` makes of scripts that the new back-end does not take, and how it watches and compares. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/backend/system-clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { MoveJournal, type MoveStep } from '../../src/map/state/move-journal.ts'
import { dueMoves } from '../../src/migrate/due-moves.ts'
import type { ListedMove } from '../../src/migrate/list-moves.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import { runCommand } from '../support/command.ts'
import { password } from '../support/mailbox-pair.ts'
import { MovingSite } from '../support/moving-site.ts'
import { sieveOf } from '../support/sieve-round.ts'
import { skipWithout } from '../support/tools.ts'

const script = 'require "fileinto";\r\nfileinto "work";\r\n'
const letter = 'Subject: hello\r\n\r\nhello\r\n'

describe('a user whose script is refused there', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    const users = ['ann', 'bob', 'carl', 'dora', 'emil', 'fred']
    // Ingrid knows no fileinto.
    const target = ['plugin {', '  sieve_extensions = -fileinto', '}']
    site = await MovingSite.start({ users, hasSieve: true, target })
  })
  after(() => site[Symbol.asyncDispose]())

  const command = (...words: string[]) => runCommand([...words, '--config', site.configFile])
  const homeOf = (user: string) =>
    new RegExp(`^${user}@example\\.com\t(\\w+)`, 'm').exec(
      readFileSync(site.dir.join('user_map'), 'utf8'),
    )?.[1]

  async function giveScript(user: string): Promise<void> {
    const { sieve } = site.pair.source.ports
    using peer = await sieveOf(sieve, `${user}@example.com`, password)
    peer.send(`PUTSCRIPT "mine" {${script.length}+}\r\n${script}\r\n`)
    await peer.expect(/^OK.*\r\n/)
  }

  test('is not frozen, hears why, and moves without it where that is meant', async () => {
    await giveScript('ann')
    const refused = await command('user', 'move', 'ann', '--to', 'ingrid')
    assert.equal(refused.code, 1)
    assert.match(
      refused.stdout,
      /failed: Sieve script mine: ingrid: .*fileinto.*; --ignore sieve leaves scripts behind \(MOVE_UNEQUAL\); ann@example\.com lives at fritz/s,
    )
    const all = JSON.parse((await command('user', 'moves', '--json')).stdout) as ListedMove[]
    const listed = all.find(({ user }) => user === 'ann@example.com')
    assert.deepEqual([listed?.step, listed?.freeze_ms], ['stopped', undefined])
    const moved = await command('user', 'move', 'ann', '--to', 'ingrid', '--ignore', 'sieve')
    assert.deepEqual([moved.code, moved.stderr], [0, ''])
    assert.equal(homeOf('ann'), 'ingrid')
  })

  test('moves later without it, too, where the time of the move was left to others', async () => {
    await giveScript('bob')
    const at = Date.now() + 60_000
    const asked = { at, waits: false, ignores: ['sieve'] } as const
    // What a later run allows holds for whoever goes on with it.
    const first = await site.move('bob', 'ingrid', { ...asked, ignores: [] })
    assert.equal(first.record?.details.error?.code, 'MOVE_UNEQUAL')
    assert.equal((await site.move('bob', 'ingrid', asked)).result, 'waiting')
    using journal = await MoveJournal.open(site.config.stateDir)
    const waiting = journal.lastOf('bob@example.com') ?? assert.fail()
    journal.enter(waiting, { details: { ...waiting.details, at: Date.now() } })
    const [due] = await dueMoves(site.config, Date.now(), new AbortController().signal)
    assert.deepEqual([due?.user, due?.moved], ['bob@example.com', 'ingrid'])
  })

  test('moves without it after a migration that was told to leave it behind', async () => {
    await giveScript('fred')
    const words = ['migrate', '--from', 'fritz', '--to', 'ingrid', '--users', 'fred']
    const done = await command(...words, '--then', 'move', '--ignore', 'sieve')
    assert.deepEqual([done.code, homeOf('fred')], [0, 'ingrid'], done.stdout)
  })

  test('hears before anything is copied that there is no port for scripts', async () => {
    await giveScript('emil')
    const { config } = site
    const ingrid = config.backends.get('ingrid') ?? assert.fail()
    const { sieve: _, ...endpoints } = ingrid.endpoints
    const without = new Map(config.backends).set('ingrid', { ...ingrid, endpoints })
    site.config = { ...config, backends: without }
    try {
      await assert.rejects(site.move('emil', 'ingrid', { order: 'dry run' }), {
        code: 'MOVE_UNEQUAL',
        message: /^a Sieve script is left behind: ingrid has no port; --ignore sieve leaves/,
      })
      const { record } = await site.move('emil', 'ingrid')
      assert.deepEqual([record?.step, record?.details.passes], ['stopped', 0])
    } finally {
      site.config = config
    }
  })

  test('reads all again in the freeze where that is asked for', async () => {
    site.inside('carl', ['save'], letter)
    const { result, record } = await site.move('carl', 'ingrid', { verify: 'full' })
    assert.deepEqual([result, record?.verify], ['moved', 'full'])
  })

  test('is watched for the quiet time, and what something inside writes then is found', async () => {
    const { config } = site
    const watching = { ...config, move: { ...config.move, quietMs: 5_000 } }
    const waits: number[] = []
    const clock: Clock = {
      ...systemClock,
      after(waitMs, call) {
        // Where nobody writes, the second look finds what the first has found.
        if (waits.push(waitMs) === 1) site.inside('dora', ['save'], letter)
        return systemClock.after(0, call)
      },
    }
    using limits = new RunLimits(watching, clock)
    site.config = watching
    const steps: MoveStep[] = []
    const report = await site.move('dora', 'ingrid', {
      limits,
      step: ({ step }) => void steps.push(step),
    })
    assert.equal(report.result, 'moved')
    assert.equal(steps.filter((step) => step === 'settling').length, 2, steps.join(' '))
    assert.equal(waits.length, 2)
    for (const waitMs of waits) assert.ok(waitMs > 3_000 && waitMs <= 5_000, String(waitMs))
    using target = await site.pair.login('target', 'dora')
    assert.equal((await target.contents('INBOX')).length, 1)
  })
})
