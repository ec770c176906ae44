/** Copies that are ended at any step and run again: nothing is lost, and nothing is there twice. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import { migrateUsers, type UsersPlan } from '../../src/migrate/migrate-users.ts'
import { exitCodeOf } from '../../src/migrate/migration-report.ts'
import { crashingJournal } from '../support/crashing-journal.ts'
import { cutAfter } from '../support/cut-proxy.ts'
import { doorTo, MailboxPair, noLimits, smallPieces } from '../support/mailbox-pair.ts'
import { nastyMessages } from '../support/nasty-mailbox.ts'
import { randomOf } from '../support/random.ts'
import type { RawImap } from '../support/raw-imap.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const seed = Number(process.env['SEED'] ?? 20_261_130)
const killed = fileURLToPath(new URL('../support/killed-copy.ts', import.meta.url))

class Crash extends Error {}

async function fill(source: RawImap, random: () => number): Promise<void> {
  for (const folder of ['INBOX', 'a/b']) {
    if (folder !== 'INBOX') await source.command(`CREATE ${folder}`)
    await source.append(folder, nastyMessages(random, 14))
  }
}

/** What a user does between two runs. */
async function change(source: RawImap, random: () => number): Promise<void> {
  await source.command('SELECT INBOX')
  const number = 1 + Math.floor(random() * 8)
  await source.command(`STORE ${number} +FLAGS (\\Deleted)`)
  await source.command('EXPUNGE')
  await source.command(`STORE 1:2 FLAGS (\\Flagged k${number})`)
  await source.append('a/b', nastyMessages(random, 1))
}

describe('a copy that is ended anywhere', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    pair = await MailboxPair.start(dir, { users: ['ann', 'bob', 'carl', 'dora', 'emil', 'fred'] })
  })
  after(async () => {
    await pair[Symbol.asyncDispose]()
    dir[Symbol.dispose]()
  })

  async function passWithCrash(user: string, write: number, when: 'before' | 'after') {
    using journal = await CopyJournal.open(dir.join('state'))
    const crashing = crashingJournal(journal, { write, when }, () => {
      throw new Crash()
    })
    const plan = pair.planFor(user, { batches: smallPieces })
    try {
      await using copy = await MailboxCopy.open(plan, crashing, new AbortController().signal)
      await copy.pass({ mirror: true })
      return 'done'
    } catch (error) {
      if (error instanceof Crash) return 'crashed'
      throw error
    }
  }

  test(`at each write of the journal, again and again, is whole in the end, seed ${seed}`, async () => {
    const random = randomOf(seed)
    using source = await pair.login('source', 'ann')
    using target = await pair.login('target', 'ann')
    await fill(source, random)
    let crashes = 0
    for (let round = 1; round <= 2; round++) {
      for (let run = 0; ; run++) {
        const write = 1 + (run % 4)
        const end = await passWithCrash('ann', write, run % 3 === 0 ? 'after' : 'before')
        if (end === 'done') break
        crashes++
        assert.ok(run < 100, 'it comes no further')
      }
      assert.deepEqual(await target.everything(), await source.everything())
      await change(source, random)
    }
    assert.ok(crashes > 10, `${crashes} crashes`)
  })

  test(`by SIGKILL is whole in the end, while its user goes on working, seed ${seed}`, async () => {
    const random = randomOf(seed + 1)
    using source = await pair.login('source', 'bob')
    using target = await pair.login('target', 'bob')
    await fill(source, random)
    const ports = [pair.source.ports.imap, pair.target.ports.imap].map(String)
    let kills = 0
    for (let run = 0; run < 6; run++) {
      const when = run % 2 === 0 ? 'before' : 'after'
      const words = [dir.join('state'), 'bob', ...ports, String(3 + run), when]
      const child = spawn(process.execPath, [killed, ...words], {
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
      assert.ok(signal === 'SIGKILL' || code === 0, `run ${run} ended with ${code}`)
      if (signal !== null) kills++
      if (run % 3 === 2) await change(source, random)
    }
    assert.ok(kills >= 3, `${kills} kills`)
    await pair.pass('bob', { batches: smallPieces })
    assert.deepEqual(await target.everything(), await source.everything())
  })

  test('by a connection that is cut after any number of bytes is whole in the end', async () => {
    using source = await pair.login('source', 'carl')
    using target = await pair.login('target', 'carl')
    await fill(source, randomOf(seed + 2))
    let cuts = 0
    for (let [bytes, isWhole] = [500, false]; !isWhole; bytes += 23) {
      // Of the source much is read; at the target, the second connection adds messages.
      const isSource = cuts % 3 === 0
      const end = isSource ? 'source' : 'target'
      await using proxy = isSource
        ? await cutAfter(pair.source.ports.imap, bytes * 8)
        : await cutAfter(pair.target.ports.imap, bytes, 1)
      const name = isSource ? 'fritz' : 'ingrid'
      const ends = {
        ...pair.endsOf('carl'),
        [end]: doorTo(name, proxy.port).accessTo('carl@example.com'),
      }
      try {
        await pair.pass('carl', { batches: smallPieces, ends })
        isWhole = true
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'BACKEND_UNREACHABLE', String(error))
        cuts++
      }
    }
    assert.ok(cuts > 5, `${cuts} cuts`)
    assert.deepEqual(await target.everything(), await source.everything())
  })

  function planOf(names: readonly string[], target: number): UsersPlan {
    return {
      doors: {
        source: doorTo('fritz', pair.source.ports.imap),
        target: doorTo('ingrid', target),
      },
      users: names.map((name) => {
        const user = `${name}@example.com`
        return { user, sourceLogin: user, targetLogin: user }
      }),
      jobs: 1,
      limits: noLimits(dir.join('state')),
      options: {
        stateDir: dir.join('state'),
        from: 'fritz',
        to: 'ingrid',
        dryRun: false,
        merge: false,
        maxBad: 0,
        verify: 'full',
        lanes: 1,
        appends: 3,
        ignores: [],
        renames: new Map(),
      },
    }
  }

  test('by a connection that is lost once goes on by itself', async () => {
    using source = await pair.login('source', 'fred')
    await fill(source, randomOf(seed + 4))
    // The second connection is the one that adds messages.
    await using proxy = await cutAfter(pair.target.ports.imap, 700, 1, 1)
    const listener = { progress: () => undefined, ended: () => undefined }
    const { users } = await migrateUsers(
      planOf(['fred'], proxy.port),
      listener,
      new AbortController().signal,
    )
    const [user] = users
    assert.deepEqual([user?.result, user?.verified?.isEqual], ['done', true])
    // It has waited before it tried again.
    assert.ok((user?.ms ?? 0) >= 1000, `${user?.ms} ms`)
    using target = await pair.login('target', 'fred')
    assert.deepEqual(await target.everything(), await source.everything())
  })

  test('by its user is told of as such, and goes on with the next run', async () => {
    for (const user of ['dora', 'emil']) {
      using source = await pair.login('source', user)
      await fill(source, randomOf(seed + 3))
    }
    const interrupted = new AbortController()
    const run = (signal: AbortSignal) =>
      migrateUsers(
        planOf(['dora', 'emil'], pair.target.ports.imap),
        {
          progress: ({ messages }) => {
            if (messages > 0) interrupted.abort(new Error('interrupted'))
          },
          ended: () => undefined,
        },
        signal,
      )
    const report = await run(interrupted.signal)
    assert.deepEqual([report.users, report.done, report.untouched], [[], 0, 2])
    assert.equal(exitCodeOf(report), 75)
    const whole = await run(new AbortController().signal)
    assert.deepEqual([whole.done, whole.failed, whole.untouched], [2, 0, 0])
    assert.ok(whole.users.every(({ verified }) => verified?.isEqual === true))
  })
})
