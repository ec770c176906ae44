/**
 * Plays many histories of moves in simulated worlds: those of the steps alone, a hundred for each of
 * whole moves. `script/bench simulate [SEEDS] [FIRST]`; it tells each seed that fails, and ends with 1.
 */
import { play } from '../../test/support/simulated-history.ts'
import { SimulatedSite, watchFlips } from '../../test/support/simulated-site.ts'
import { playSteps } from '../../test/support/simulated-steps.ts'

const [, , seeds = '1000', first = '1'] = process.argv
const [most, from] = [Number(seeds), Number(first)]
/** The steps alone take less than a hundredth of the time. */
const stepsForEach = 100
const tellEvery = 1_000

const failed: string[] = []

async function each(what: string, count: number, work: (seed: number) => Promise<unknown>) {
  const startedAt = performance.now()
  for (let done = 1; done <= count; done++) {
    const seed = from + done - 1
    await work(seed).catch((error: unknown) => {
      failed.push(`${what}: SEED=${seed}`)
      console.log(`${what}: SEED=${seed}: ${error instanceof Error ? error.message : 'failed'}`)
    })
    if (done % tellEvery !== 0 && done !== count) continue
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    console.log(`${what}: ${done} of ${count} in ${seconds} s, ${failed.length} failed`)
  }
}

await each('steps', most * stepsForEach, playSteps)
await using site = await SimulatedSite.start()
watchFlips(() => site.world)
await each('moves', most, (seed) => play(site, seed))
if (failed.length > 0) process.exitCode = 1
