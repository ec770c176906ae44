/** `mailmux migrate --then move` of many users to a back-end that fails now and then. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Config } from '../../src/config/config.ts'
import { namedBackend } from '../../src/config/named-backend.ts'
import { parseAddress } from '../../src/mail/address.ts'
import { homeOf } from '../../src/map/edit/flip-user.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { MoveJournal } from '../../src/map/state/move-journal.ts'
import { migrateUsers } from '../../src/migrate/migrate-users.ts'
import type { MigrationReport } from '../../src/migrate/migration-report.ts'
import { prepareMigration } from '../../src/migrate/prepare-migration.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import { MovingSite } from '../support/moving-site.ts'
import { type Random, randomOf } from '../support/random.ts'
import type { RawMessage } from '../support/raw-imap.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'
import { type Refuse, ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

const users = Array.from({ length: 12 }, (_, at) => `user${at}`)
/** Another each day; `SEED` repeats one. */
const seed = Number(process.env['SEED'] ?? Math.floor(Date.now() / 86_400_000))
const { signal } = new AbortController()

function mail(text: string): RawMessage {
  const body = Buffer.from(`Subject: ${text}\r\n\r\n${text}\r\n`)
  return { flags: ['\\Seen'], date: '17-Jul-1996 02:44:25 -0700', body }
}

/** One login of twenty fails, and one command of a hundred; half of them cut the connection. */
function failing(random: Random): Refuse {
  return (command) => {
    if (random() >= (command.startsWith('LOGIN') ? 1 / 20 : 1 / 100)) return undefined
    // Of an APPEND that is answered, the rest would follow.
    const isCut = random() < 1 / 2 || command.startsWith('APPEND')
    return isCut ? 'BYE gone' : 'NO [SERVERBUG] not now'
  }
}

/** As the command does it, but that its waits take no time. */
async function migrate(config: Config, chosen?: string): Promise<MigrationReport> {
  const clock = new SimulatedClock()
  using limits = new RunLimits(config, clock)
  const plan = await prepareMigration(config, {
    from: { backend: namedBackend(config, 'fritz') },
    to: namedBackend(config, 'ingrid'),
    users: chosen,
    jobs: 6,
    verify: 'changed',
    dryRun: false,
    merge: false,
    maxBad: 0,
    renames: new Map(),
    ignores: [],
    thenMove: signal,
    limits,
    windows: [],
    waits: true,
  })
  const listener = { progress: () => undefined, ended: () => undefined }
  return await passTime(clock, migrateUsers(plan, listener, signal))
}

describe('many users who move', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    site = await MovingSite.start({ users: [...users, 'zoe'] })
    for (const user of [...users, 'zoe']) {
      using source = await site.pair.login('source', user)
      await source.append('INBOX', [mail('1'), mail('2'), mail('3')])
    }
  })
  after(() => site[Symbol.asyncDispose]())

  /** The config, with another port for IMAP of ingrid. */
  function withPort(port: number): Config {
    const ingrid = namedBackend(site.config, 'ingrid')
    const imap = { host: '127.0.0.1', port, tls: 'none' } as const
    const endpoints = { ...ingrid.endpoints, imap }
    const backends = new Map(site.config.backends).set('ingrid', { ...ingrid, endpoints })
    return { ...site.config, backends }
  }

  const flaky = (refuse: Refuse) => ThrottlingProxy.start(site.pair.target.ports.imap, refuse)

  /** Checks that each user lives where all mail is, and returns who has moved. */
  async function checkHomes(): Promise<string[]> {
    const { config, pair } = site
    const map = openMapInForce(config, undefined, 'few questions')
    const moved: string[] = []
    try {
      for (const user of users) {
        const address = parseAddress(`${user}@example.com`, config.naming) ?? assert.fail()
        const { backend } = homeOf(map, config, address)
        using home = await pair.login(backend === 'ingrid' ? 'target' : 'source', user)
        const flags = (await home.contents('INBOX')).map((one) => one.flags)
        assert.deepEqual(flags, ['\\Seen', '\\Seen', '\\Seen'], user)
        if (backend === 'ingrid') moved.push(`${user}@example.com`)
      }
    } finally {
      map.close()
    }
    return moved.sort()
  }

  test('a report says where somebody lives whose move has not come to its end', async () => {
    using journal = await MoveJournal.open(site.config.stateDir)
    await using proxy = await flaky((command) => {
      const isSwept = journal.lastOf('zoe@example.com')?.step === 'sweeping'
      return isSwept && command.startsWith('LIST') ? 'NO [SERVERBUG] not now' : undefined
    })
    const { users: told, failed } = await migrate(withPort(proxy.port), 'zoe')
    const [zoe] = told
    assert.equal(failed, 1)
    assert.ok(zoe?.moved !== undefined)
    const awaited = 'lives at ingrid; run `mailmux user move zoe@example.com --to ingrid`'
    const { message = '' } = zoe.error ?? {}
    assert.ok(message.includes(`${awaited} to end the move`), message)
    assert.equal((await site.move('zoe', 'ingrid')).result, 'moved')
  })

  test('each ends in one home, whatever fails; run again, all have moved', async () => {
    await using proxy = await flaky(failing(randomOf(seed)))
    const first = await migrate(withPort(proxy.port), 'user*')
    const moved = await checkHomes()
    const says = `SEED=${seed}: ${JSON.stringify(first.users.map(({ user, error }) => [user, error]))}`
    assert.equal(first.done + first.failed, users.length, says)
    const told = first.users.filter((one) => one.moved !== undefined)
    assert.deepEqual(told.map(({ user }) => user).sort(), moved, says)
    for (const { user } of told.filter(({ result }) => result === 'failed')) {
      assert.equal((await site.move(user, 'ingrid')).result, 'moved', says)
    }
    if (moved.length < users.length) {
      assert.equal((await migrate(site.config, 'user*')).failed, 0, says)
    }
    assert.equal((await checkHomes()).length, users.length)
  })
})
