import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { copyScripts, planScripts, type Scripts } from '../../src/migrate/copy-scripts.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { ScriptedBackend } from '../support/peer.ts'

const name = fc.constantFrom<string>('a', 'b', 'c')
const scripts = fc
  .tuple(fc.array(fc.tuple(name, fc.constantFrom('keep;', 'stop;'))), fc.constantFrom('', 'a', 'b'))
  .map(([entries, active]): Scripts => {
    const texts = new Map(entries)
    return { texts, active: texts.has(active) ? active : '' }
  })

test('a plan that was carried out leaves the scripts of the source, its active one, and nothing to do', () => {
  fc.assert(
    fc.property(scripts, scripts, (source, target) => {
      const { put, activate } = planScripts(source, target)
      const texts = new Map([
        ...target.texts,
        ...put.map((one) => [one, source.texts.get(one) ?? ''] as const),
      ])
      const after: Scripts = { texts, active: activate ?? target.active }
      for (const [one, text] of source.texts) assert.equal(after.texts.get(one), text)
      assert.equal(after.active, source.active)
      assert.deepEqual(planScripts(source, after), { put: [], activate: undefined })
    }),
  )
})

test('a script that is there already is not put again', () => {
  const same: Scripts = { texts: new Map([['a', 'keep;']]), active: 'a' }
  assert.deepEqual(planScripts(same, same), { put: [], activate: undefined })
})

test('scripts that a back-end refuses to show are told of, and are no fault of ours', async () => {
  const greeting = '"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\nOK\r\n'
  await using source = await ScriptedBackend.start(async (peer) => {
    peer.send(greeting)
    await peer.expect(/^AUTHENTICATE "PLAIN" \S+\r\n/)
    peer.send('OK\r\n')
    await peer.expect(/^LISTSCRIPTS\r\n/)
    peer.send('"mine" ACTIVE\r\nOK\r\n')
    await peer.expect(/^GETSCRIPT "mine"\r\n/)
    peer.send('NO "Cannot read it"\r\n')
  })
  const access = doorTo('fritz', 0, 'authzid', { sieve: source.port }).accessTo('ann')
  const ends = { source: access, target: access }
  assert.deepEqual(await copyScripts(ends, new AbortController().signal), {
    copied: 0,
    problems: ['Sieve scripts: fritz: Cannot read it'],
  })
  assert.deepEqual(source.failures, [])
})
