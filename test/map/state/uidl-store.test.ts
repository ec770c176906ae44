/** UIDLs of mailboxes that were brought over, as commands write them and workers read them. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CopyJournal } from '../../../src/map/state/copy-journal.ts'
import { OverrideReader } from '../../../src/map/state/override-reader.ts'
import { State } from '../../../src/map/state/state.ts'
import { UidlStore } from '../../../src/map/state/uidl-store.ts'
import { UidlTable } from '../../../src/map/state/uidl-table.ts'
import { tempDir } from '../../support/temp-dir.ts'

const ann = { user: 'ann@example.com', backend: 'ingrid' }
const table = UidlTable.of(
  new Map([
    ['new1', 'old1'],
    ['new2', 'old2'],
  ]),
)

test('messages that came along keep their UIDL, and no other one is ever given it', () => {
  const unit = fc.constantFrom('a', 'b', '~')
  const uidl = fc.string({ unit, minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(fc.dictionary(uidl, uidl), fc.uniqueArray(uidl), (pairs, present) => {
      const before = new Map(Object.entries(pairs))
      // What the source has is one UIDL for each message.
      if (new Set(before.values()).size < before.size) return
      const one = UidlTable.of(before)
      for (const [now, old] of before) assert.equal(one.translate(now), old)
      const all = [...new Set([...present, ...before.keys()])]
      assert.equal(new Set(all.map((name) => one.translate(name))).size, all.length)
      // However many messages go, those that stay keep what clients know them by.
      const less = one.keeping(new Set(present))
      const kept = present.filter((name) => before.has(name))
      assert.equal(less === undefined, kept.length === 0)
      for (const name of less === undefined ? [] : present) {
        assert.equal(less?.translate(name), one.translate(name))
      }
    }),
    { numRuns: 5000 },
  )
})

test('a UIDL that is made to differ is one that POP3 allows', () => {
  const long = 'x'.repeat(70)
  const one = UidlTable.of(new Map([['a', long]]))
  assert.match(one.translate(long), /^~[!-~]{1,69}$/)
  assert.notEqual(one.translate(long), one.translate('x'.repeat(69)))
  assert.equal(UidlTable.of(new Map([['a', '~b']])).translate('~b'), '~~~b')
})

test('what is put is there for workers at once, for that user at that back-end', async () => {
  using dir = tempDir()
  using state = await State.open(dir.path, 0)
  state.record({ generation: 1, kind: 'build', description: 'x' })
  const reader = new OverrideReader({ path: state.path, base: 1 })
  assert.equal(reader.uidls(ann), undefined)
  using store = await UidlStore.open(dir.path)
  store.put(ann, UidlTable.of(new Map([['x', 'y']])))
  store.put(ann, table)
  assert.deepEqual(reader.uidls(ann)?.before, table.before)
  assert.equal(reader.uidls({ ...ann, backend: 'fritz' }), undefined)
  assert.equal(reader.uidls({ ...ann, user: 'bob@example.com' }), undefined)
  store.put({ ...ann, backend: 'fritz' }, table)
  store.dropOthers(ann)
  assert.equal(store.find({ ...ann, backend: 'fritz' }), undefined)
  assert.equal(store.find(ann)?.text, table.text)
  store.put(ann, undefined)
  assert.equal(reader.uidls(ann), undefined)
  reader.close()
})

test('a state database of before gets the table, and one that has it goes on to hold copies', async () => {
  using dir = tempDir()
  {
    using _journal = await CopyJournal.open(dir.path)
    const database = new DatabaseSync(dir.join('state.db'))
    database.exec('DROP TABLE uidl')
    database.close()
  }
  const reader = new OverrideReader({ path: dir.join('state.db'), base: 1 })
  assert.equal(reader.uidls(ann), undefined)
  {
    using store = await UidlStore.open(dir.path)
    store.put(ann, table)
  }
  assert.equal(reader.uidls(ann)?.text, table.text)
  reader.close()
  using journal = await CopyJournal.open(dir.path)
  assert.equal(journal.mailbox({ user: ann.user, source: 'fritz', target: 'ingrid' }), 1)
})

test('a table in which a bit has turned is told of, and a file that is gone is passed over', async () => {
  using dir = tempDir()
  using store = await UidlStore.open(dir.path)
  store.put(ann, table)
  const path = dir.join('state.db')
  const other = new DatabaseSync(path)
  other.exec("UPDATE uidl SET pairs = replace(pairs, 'old', 'olc')")
  other.close()
  const problems: string[] = []
  const report = ({ code }: { readonly code: string }): void => void problems.push(code)
  const reader = new OverrideReader({ path, base: 1, report })
  assert.throws(() => reader.uidls(ann), { code: 'STATE_DAMAGED' })
  assert.throws(() => store.find(ann), { code: 'STATE_DAMAGED' })
  assert.equal(reader.uidls({ ...ann, backend: 'fritz' }), undefined)
  reader.close()
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true })
  writeFileSync(path, 'x'.repeat(5_000))
  const bad = new OverrideReader({ path, base: 1, report })
  assert.equal(bad.uidls(ann), undefined)
  assert.deepEqual(problems, ['STATE_DAMAGED'])
})
