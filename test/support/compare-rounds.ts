/** Tests that a program's whole round through the proxies gives what it gives at the back-end itself. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { TwinSite } from './twin-site.ts'
import { type BackendName, backendNames, type Round } from './twin.ts'

export interface ComparedRound {
  readonly round: Round
  /** What shows that the round did its work, at least at the back-end itself. */
  readonly proofs: readonly RegExp[]
  /** All, if left out. */
  readonly backends?: readonly BackendName[]
}

/** Within a `describe`: a test for each program at each of its back-ends, with a site for all. */
export function compareRounds(rounds: Readonly<Record<string, ComparedRound>>): void {
  let site: TwinSite
  before(async () => {
    site = await TwinSite.start(Object.keys(rounds))
  })
  after(() => site[Symbol.asyncDispose]())

  for (const [program, { round, proofs, backends = backendNames }] of Object.entries(rounds)) {
    for (const backend of backends) {
      test(`${program} at ${backend} gives the same through the proxy`, async () => {
        const { direct, proxied } = await site.bothWays(program, backend, round)
        const seen = JSON.stringify(direct.seen).replaceAll('\\"', '"')
        for (const proof of proofs) assert.ok(proof.test(seen), `${proof}: ${seen}`)
        assert.deepEqual(proxied, direct)
        assert.deepEqual(site.daemon.eventsOf('internal'), [])
      })
    }
  }
}
