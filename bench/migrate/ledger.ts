/**
 * A user who moves there and back again, behind `mailmux serve`, while a hundred messages a second come
 * by the relay, two mail programs flag, file and delete, a POP3 client looks for what it knows and
 * deletes, and somebody edits a Sieve script; and now and then the command that moves, or one of the
 * back-ends, is killed at some step. Not a measurement: it throws where a message is lost, or there
 * twice, or not as it was left.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { MoveStep } from '../../src/map/state/move-journal.ts'
import { isFlipped } from '../../src/migrate/move-machine.ts'
import { delivered, Ledger, mailboxOf, versionOf } from '../../test/support/mail-traffic.ts'
import { manyPeople, MovingSite } from '../../test/support/moving-site.ts'
import { randomOf } from '../../test/support/random.ts'

export interface LedgerOptions {
  readonly moves: number
  readonly seed: number
}

type Home = 'fritz' | 'ingrid'

const user = 'ann'
const killed = fileURLToPath(new URL('../../test/support/killed-move.ts', import.meta.url))
const steps = 'copying freezing settling verifying flipping flipped sweeping'.split(
  ' ',
) as MoveStep[]
const faults = ['none', 'none', 'mover', 'source', 'target'] as const

export async function checkMoves({ moves, seed }: LedgerOptions): Promise<void> {
  const random = randomOf(seed)
  const oneOf = <Value>(values: readonly Value[]): Value =>
    values[Math.floor(random() * values.length)] as Value
  await using site = await MovingSite.start({
    users: [user],
    serves: true,
    hasPop3: true,
    hasSieve: true,
  })
  const ledger = new Ledger()
  let hasDied = false
  let home: Home = 'fritz'
  const startedAt = performance.now()
  const work = async (): Promise<void> => {
    await delivered(ledger, 50)
    for (let count = 1; count <= moves; count++) {
      const to: Home = home === 'fritz' ? 'ingrid' : 'fritz'
      const [fault, step] = [oneOf(faults), oneOf(steps)]
      if (fault === 'mover') await killMover(site, to, [step, oneOf(['before', 'after'])])
      else if (fault !== 'none') {
        hasDied = true
        await killBackend(site, to, { step, down: fault === 'source' ? home : to })
      }
      const done = await site.move(user, to)
      // A mover that was killed may have come to its end.
      const { error, freezeMs = 0 } = done.record?.details ?? {}
      assert.match(done.result, /^(?:moved|there)$/, JSON.stringify(error))
      home = to
      const at = fault === 'none' ? '' : `, ${fault} killed at ${step}`
      console.log(`move ${count} to ${to}${at}: frozen for ${freezeMs} ms at last`)
      await delivered(ledger, ledger.delivered.size + 50)
    }
  }
  await site.whileUsed(user, ledger, work, manyPeople)
  const seconds = (performance.now() - startedAt) / 1000
  const { ports } = site.dovecot(home)
  ledger.check(await mailboxOf(ports.imap, user), hasDied)
  const version = await versionOf(ports.sieve, user)
  const { script, reconnected, deferred } = ledger
  assert.ok(version >= script.answered && version <= script.asked, `script ${version}`)
  const [sent, filed, deleted] = [ledger.delivered, ledger.filed, ledger.deleted]
  console.log(
    `seed ${seed}: ${moves} moves in ${seconds.toFixed(0)} s; ${sent.size} messages, ${filed.size} filed, ` +
      `${deleted.size} deleted, ${ledger.uidls.size} known by POP3, script ${version}; ` +
      `put off ${deferred} times, sessions ended ${reconnected} times; none lost, none twice`,
  )
  if (ledger.uncertain.size + ledger.perhaps.size > 0) {
    const [uncertain, perhaps] = [ledger.uncertain.size, ledger.perhaps.size]
    console.log(`${uncertain} were sent again after their end, ${perhaps} commands were cut off`)
  }
}

/** It may end before it comes to that step, or never come to it. */
async function killMover(site: MovingSite, to: Home, at: readonly string[]): Promise<void> {
  const args = [killed, site.configFile, user, to, ...at]
  const mover = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  await once(mover, 'close')
}

async function killBackend(
  site: MovingSite,
  to: Home,
  { step, down }: { readonly step: MoveStep; readonly down: Home },
): Promise<void> {
  const dovecot = site.dovecot(down)
  let isDown = false
  const failed = await site.move(user, to, {
    step: (move) => {
      if (move.step !== step || isDown) return
      isDown = true
      site.strikeDown(down)
    },
  })
  assert.equal(failed.result, isDown ? 'failed' : 'moved')
  assert.ok(!isDown || isFlipped(failed.record?.step ?? 'planned') === isFlipped(step))
  await dovecot.stop()
  await dovecot.start()
}
