/** What the kernel does to the journal of copies at each of its calls. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CopyJournal } from '../../../src/map/state/copy-journal.ts'
import { UidlStore } from '../../../src/map/state/uidl-store.ts'
import { uidlOwner, uidlsBeing } from '../../support/sample-uidls.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { skipWithout } from '../../support/tools.ts'
import { traceProgram } from '../../support/traced-change.ts'

const skip = skipWithout('strace')
const program = fileURLToPath(new URL('../../support/recorded-copies.ts', import.meta.url))
const route = { user: 'ann@example.com', source: 'fritz', target: 'ingrid' }
const binding = {
  sourceName: 'a',
  targetName: 'a',
  sourceValidity: 1,
  targetValidity: 1,
  floor: 0,
}

async function prepare(folder: string): Promise<void> {
  using journal = await CopyJournal.open(folder)
  const copied = journal.bind(journal.mailbox(route), binding)
  const row = { sizeBytes: 1, sha256: 'x', date: 1, flags: 'old' }
  const uids = Array.from({ length: 200 }, (_, index) => index + 1)
  journal.record(
    copied,
    uids.map((uid) => ({ ...row, sourceUid: uid, targetUid: uid })),
  )
  using store = await UidlStore.open(folder)
  store.put(uidlOwner, uidlsBeing('old'))
}

/** What the table of UIDLs is of, all of which is one. */
async function uidlsIn(folder: string): Promise<string> {
  using store = await UidlStore.open(folder)
  const text = store.find(uidlOwner)?.text
  const found = (['old', 'new'] as const).find((what) => uidlsBeing(what).text === text)
  assert.ok(found, `not whole: ${text}`)
  return found
}

/** The flags of all 200 messages, which are one. */
async function flagsIn(folder: string): Promise<string> {
  using journal = await CopyJournal.open(folder)
  const [copied] = journal.folders(1)
  assert.ok(copied)
  const rows = [...journal.messages(copied)]
  assert.equal(rows.length, 200)
  const flags = new Set(rows.map((row) => row.flags))
  assert.equal(flags.size, 1, [...flags].join())
  return [...flags].join()
}

const faults: readonly [string, (call: number) => string, RegExp][] = [
  ['it is killed at any write', (call) => `pwrite64:signal=KILL:when=${call}`, /^killed$/],
  [
    'the disk is full from any write on',
    (call) => `pwrite64:error=ENOSPC:when=${call}+`,
    /^STATE_/,
  ],
  ['any sync fails', (call) => `fsync:error=EIO:when=${call}`, /^STATE_/],
]

for (const [what, fault, failure] of faults) {
  test(`where ${what}, a batch of rows is as before or written, and so are UIDLs`, {
    skip,
  }, async () => {
    let failures = 0
    // Each fourth one: the test takes its time.
    for (let call = 1; ; call += 4) {
      using dir = tempDir()
      await prepare(dir.path)
      const { outcome, where } = await traceProgram([program, dir.path], fault(call))
      const flags = await flagsIn(dir.path)
      const uidls = await uidlsIn(dir.path)
      if (uidls === 'new') assert.equal(flags, 'new', where)
      if (outcome === 'done') {
        assert.equal(uidls, 'new', where)
        break
      }
      failures++
      assert.match(outcome, failure, where)
      // Rows that are told to be written are; UIDLs come after them.
      if (outcome !== 'killed') assert.equal(uidls, 'old', where)
    }
    assert.ok(failures > 0)
  })
}
