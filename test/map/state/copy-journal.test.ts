/** The journal of copies in the state database. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import {
  type CopiedMessage,
  CopyJournal,
  type FolderBinding,
} from '../../../src/map/state/copy-journal.ts'
import { copyTables } from '../../../src/map/state/copy-schema.ts'
import { lockMailbox } from '../../../src/map/state/mailbox-lock.ts'
import { State } from '../../../src/map/state/state.ts'
import { openSqliteToRead } from '../../../src/storage/sqlite.ts'
import { tempDir } from '../../support/temp-dir.ts'

const route = { user: 'ann@example.com', source: 'fritz', target: 'ingrid' }
const binding: FolderBinding = {
  sourceName: 'a',
  targetName: 'b',
  sourceValidity: 7,
  targetValidity: 8,
  floor: 0,
}
const copied = (sourceUid: number, targetUid: number): CopiedMessage => ({
  sourceUid,
  targetUid,
  sizeBytes: 3,
  sha256: `hash of ${sourceUid}`,
  date: sourceUid === 2 ? undefined : 5,
  flags: '\\Seen x',
})

test('what was written down is there for the next who opens it', async () => {
  using dir = tempDir()
  const state = { uidValidity: 7, uidNext: 3, messages: 2, modseq: '12345678901234567890' }
  {
    using journal = await CopyJournal.open(dir.path)
    const mailbox = journal.mailbox(route)
    const folder = journal.bind(mailbox, binding)
    journal.record(folder, [copied(1, 11), copied(2, 12)])
    journal.amend(mailbox, folder, { source: state, floor: 12, isVerified: true })
  }
  using journal = await CopyJournal.open(dir.path)
  const mailbox = journal.mailbox(route)
  const [folder] = journal.folders(mailbox)
  assert.ok(folder)
  assert.deepEqual(folder, {
    ...binding,
    id: 1,
    floor: 12,
    source: state,
    target: undefined,
    isVerified: true,
  })
  assert.deepEqual([...journal.messages(folder)], [copied(1, 11), copied(2, 12)])
  assert.deepEqual([...journal.messages(folder, 2, 9)], [copied(2, 12)])
  assert.deepEqual([...journal.sourceUids(folder)], [1, 2])
  assert.deepEqual([...journal.targetUids(folder)], [11, 12])
  assert.deepEqual(journal.folders(journal.mailbox({ ...route, target: 'paul' })), [])
})

test('one message at the target stands for one at the source', async () => {
  using dir = tempDir()
  using journal = await CopyJournal.open(dir.path)
  const folder = journal.bind(journal.mailbox(route), binding)
  journal.record(folder, [copied(1, 11), copied(2, 12)])
  journal.record(folder, [copied(3, 11), copied(2, 13)])
  assert.deepEqual([...journal.messages(folder)], [copied(2, 13), copied(3, 11)])
})

test('messages of another UIDVALIDITY are kept apart until they are known again or forgotten', async () => {
  using dir = tempDir()
  using journal = await CopyJournal.open(dir.path)
  const mailbox = journal.mailbox(route)
  const before = journal.bind(mailbox, binding)
  journal.record(before, [copied(1, 11), copied(2, 12), copied(3, 13)])
  const folder = journal.amend(mailbox, before, { sourceValidity: 9 })
  assert.deepEqual([...journal.sourceUids(folder)], [])
  assert.deepEqual([...journal.targetUids(folder)], [11, 12, 13])
  journal.record(folder, [copied(1, 12)])
  journal.forget(folder, [13])
  assert.deepEqual([...journal.messages(folder)], [copied(1, 12)])
  assert.deepEqual(journal.stale(folder), [copied(1, 11)])
  const anew = journal.startAnew(mailbox, folder, 80)
  assert.deepEqual([anew.targetValidity, anew.floor], [80, 0])
  assert.deepEqual([[...journal.targetUids(anew)], journal.folders(mailbox)], [[], [anew]])
  journal.drop(anew)
  assert.deepEqual(journal.folders(mailbox), [])
})

test('changes of the map and copies do not wait for each other', async () => {
  using dir = tempDir()
  using journal = await CopyJournal.open(dir.path)
  using state = await State.open(dir.path, 0)
  const folder = journal.bind(journal.mailbox(route), binding)
  state.begin({ description: 'x' })
  journal.record(folder, [copied(1, 11)])
  state.abandon()
  assert.deepEqual([...journal.sourceUids(folder)], [1])
})

test('a row in which a bit has turned is told of, and nothing is done by it', async () => {
  using dir = tempDir()
  using journal = await CopyJournal.open(dir.path)
  const folder = journal.bind(journal.mailbox(route), binding)
  journal.record(folder, [copied(1, 11)])
  const other = new DatabaseSync(dir.join('state.db'))
  other.exec('UPDATE copy_message SET target_uid = 10')
  other.close()
  assert.throws(() => [...journal.messages(folder)], { code: 'STATE_DAMAGED' })
})

test('readers of the map see changes beside copies, and damage of what they read alone', async () => {
  using dir = tempDir()
  {
    using state = await State.open(dir.path, 0)
    state.record({ generation: 1, kind: 'build', description: 'x' })
    using journal = await CopyJournal.open(dir.path)
    const folder = journal.bind(journal.mailbox(route), binding)
    const many = Array.from({ length: 2000 }, (_, index) => copied(index + 1, index + 1))
    journal.record(folder, many)
  }
  const path = dir.join('state.db')
  const whole = readFileSync(path)
  const spoilt = Buffer.from(whole)
  // The last pages are of the messages, which came last.
  spoilt.fill(0xff, whole.length - 3 * 4096, whole.length - 2 * 4096)
  writeFileSync(path, spoilt)
  assert.throws(() => openSqliteToRead(path, 0))
  openSqliteToRead(path, 0, copyTables).database.close()
  const { database } = openSqliteToRead(path, 0, copyTables)
  assert.equal(database.prepare('SELECT count(*) AS count FROM history').get()?.['count'], 1)
  const [page] = Object.values(
    database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'history'").get() ?? {},
  )
  database.close()
  const bad = Buffer.from(whole)
  bad.fill(0xff, (Number(page) - 1) * 4096, Number(page) * 4096)
  writeFileSync(path, bad)
  assert.throws(() => openSqliteToRead(path, 0, copyTables))
})

test('what is no database is refused as such', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('state.db'), 'x'.repeat(5000))
  await assert.rejects(CopyJournal.open(dir.path), { code: 'STATE_DAMAGED' })
  assert.equal(readFileSync(dir.join('state.db'), 'utf8'), 'x'.repeat(5000))
})

test('one process at a time copies the mailbox of a user', async () => {
  using dir = tempDir()
  {
    using _held = await lockMailbox(dir.path, 'ann@example.com')
    await assert.rejects(lockMailbox(dir.path, 'ann@example.com'), { code: 'MIGRATION_BUSY' })
    using _other = await lockMailbox(dir.path, 'bob@example.com')
  }
  using _again = await lockMailbox(dir.path, 'ann@example.com')
})
