/**
 * Whole moves in simulated worlds: everything of ours is real, the back-ends, the daemon and what
 * happens around them is drawn from one seed (test/support/simulated-*.ts). `SEED=…` replays a
 * history and tells it, `MOVE_SEEDS=10000` from `FIRST_SEED=1` on tries more.
 *
 * A seed replays exactly where the mover asks for the next thing within a few turns of the event loop.
 * Files are read in other threads, and a pass that takes longer than three seconds is made again: a
 * machine that is very busy may see another history.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { play } from '../support/simulated-history.ts'
import { SimulatedSite, watchFlips } from '../support/simulated-site.ts'

const only = process.env['SEED']
const first = Number(process.env['FIRST_SEED'] ?? 1)
const seeds =
  only === undefined
    ? Array.from({ length: Number(process.env['MOVE_SEEDS'] ?? 30) }, (_, index) => first + index)
    : [Number(only)]

test(`a whole move survives what ${seeds.length} seeds make of its world`, async () => {
  await using site = await SimulatedSite.start()
  watchFlips(() => site.world)
  const ends = { kept: 0, aborted: 0 }
  for (const seed of seeds) {
    try {
      const { end } = await play(site, seed)
      ends[end]++
    } catch (cause) {
      if (only !== undefined) process.stdout.write(`${site.world.trace.join('\n')}\n`)
      throw new Error(`SEED=${seed}`, { cause })
    }
  }
  if (only === undefined) assert.ok(ends.kept > 0, JSON.stringify(ends))
})
