import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, type watch, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { noFile, signatureOf, signaturesOf } from '../../src/storage/file-signature.ts'
import { FileWatch } from '../../src/storage/file-watch.ts'
import { tempDir } from '../support/temp-dir.ts'

const quick = { sweepMs: 20, settleMs: 20 }
const patience = (): AbortSignal => AbortSignal.timeout(20_000)

test('a directory is another one by the files that a source is read from, and by no others', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('10-staff'), 'a')
  const before = await signatureOf(dir.path)
  for (const name of ['10-staff~', '.10-staff.swp', '#10-staff#', '.#10-staff']) {
    writeFileSync(dir.join(name), 'b')
    assert.equal(await signatureOf(dir.path), before, name)
  }
  writeFileSync(dir.join('20-guests'), 'c')
  assert.notEqual(await signatureOf(dir.path), before)
})

const ways: Readonly<Record<string, (path: string) => void>> = {
  'is written in place': (path) => writeFileSync(path, 'two'),
  'gets another one in its place': (path) => {
    writeFileSync(`${path}.new`, 'one')
    renameSync(`${path}.new`, path)
  },
  'is deleted': (path) => rmSync(path),
}

const noEvents = (() => {
  throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
}) as unknown as typeof watch

for (const [way, change] of Object.entries(ways)) {
  for (const [how, options] of Object.entries({
    'is told of at once': { sweepMs: 3_600_000, settleMs: 20 },
    'is found where the kernel tells of nothing': { ...quick, observe: noEvents },
  })) {
    test(`a file that ${way} ${how}`, async () => {
      using dir = tempDir()
      const path = dir.join('user_map')
      writeFileSync(path, 'one')
      using watched = new FileWatch({ signal: patience(), ...options })
      const seen = await signaturesOf([path])
      const changed = watched.change(seen)
      // Not only what was changed before the wait has begun.
      await Promise.race([changed, new Promise(setImmediate)])
      change(path)
      const now = await changed
      assert.notEqual(now.get(path), seen.get(path))
      assert.equal(now.get(path), await signatureOf(path))
    })
  }
}

test('a file that comes back is found, also in a directory that was replaced', async () => {
  using dir = tempDir()
  mkdirSync(dir.join('maps'))
  const paths = [dir.join('maps'), dir.join('maps/staff')]
  writeFileSync(dir.join('maps/staff'), 'one')
  using watched = new FileWatch({ signal: patience(), ...quick })
  let seen = await signaturesOf(paths)
  renameSync(dir.join('maps'), dir.join('old'))
  seen = await watched.change(seen)
  assert.deepEqual([...seen.values()], [noFile, noFile])
  mkdirSync(dir.join('new'))
  writeFileSync(dir.join('new/staff'), 'two')
  renameSync(dir.join('new'), dir.join('maps'))
  seen = await watched.change(seen)
  assert.equal(seen.get(dir.join('maps/staff')), await signatureOf(dir.join('maps/staff')))
  writeFileSync(dir.join('maps/staff'), 'three')
  const last = await watched.change(seen)
  assert.notEqual(last.get(dir.join('maps/staff')), seen.get(dir.join('maps/staff')))
})

test('the signal ends a wait, and a retry ends it without a change', async () => {
  using dir = tempDir()
  const stop = new AbortController()
  using watched = new FileWatch({ signal: stop.signal })
  const seen = await signaturesOf([dir.path])
  assert.deepEqual(await watched.change(seen, 1), seen)
  const waiting = watched.change(seen)
  stop.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
})
