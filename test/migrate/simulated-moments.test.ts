/** What histories of simulated worlds have found, each in a world in which nothing else happens. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { inbox } from '../support/simulated-mailbox.ts'
import { quiet } from '../support/simulated-plan.ts'
import { SimulatedSite, watchFlips } from '../support/simulated-site.ts'

const seed = 4
let site: SimulatedSite

before(async () => {
  site = await SimulatedSite.start()
  watchFlips(() => site.world)
})
after(() => site[Symbol.asyncDispose]())

/** A world in which a user with some mail, and nobody else, is to move to ingrid. */
async function begin() {
  const still = { rates: quiet, isMerged: false, abortsIn: undefined, messages: 8 }
  return await site.begin(seed, still)
}

test('what comes to a folder that was numbered anew within the freeze is swept', async () => {
  const world = await begin()
  const { fritz } = world.mailboxes
  let lists = 0
  world.onCommand = (host, { name, words }) => {
    if (!site.daemon.isFrozen || host !== 'fritz' || name !== 'LIST' || words[1] !== '*') return
    // The first is that of the pass, which finds nothing to do.
    if (++lists === 2) fritz.renumber([inbox])
  }
  const { report } = await site.move('ingrid', 'begun')
  assert.equal(report?.result, 'moved')
  fritz.get([inbox])?.add({ body: someBody('late'), flags: new Set() })
  const [swept] = await site.sweep()
  assert.deepEqual([swept?.problems, swept?.swept], [[], 1])
})

test('a folder that its user deletes or renames while it is listed does not stop a move', async () => {
  const world = await begin()
  const { fritz } = world.mailboxes
  const { ledger } = world.traffic
  for (const name of ['deleted', 'renamed']) {
    fritz.create([name])
    ledger.create([name])
  }
  world.onCommand = (host, { name }) => {
    if (host !== 'fritz' || name !== 'EXAMINE') return
    world.onCommand = undefined
    fritz.delete(['deleted'])
    ledger.drop(['deleted'])
    fritz.rename(['renamed'], ['other'])
    ledger.rename(['renamed'], ['other'])
  }
  const { report } = await site.move('ingrid', 'begun')
  assert.equal(report?.result, 'moved')
  assert.deepEqual(world.differences(), [])
  assert.notEqual(world.mailboxes.ingrid.get(['other']), undefined)
})

function someBody(text: string) {
  const date = '17-Jul-2026 02:44:25 +0100'
  return { octets: Buffer.from(`Subject: ${text}\r\n\r\n`), date, key: text }
}
