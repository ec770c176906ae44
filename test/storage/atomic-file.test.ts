import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { replaceFile } from '../../src/storage/atomic-file.ts'
import { realDisk } from '../../src/storage/disk.ts'
import { tempDir } from '../support/temp-dir.ts'

test('a file is replaced, and nothing else is left', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  for (const text of ['old', 'new']) {
    await replaceFile(realDisk, path, (file) => file.write(Buffer.from(text), 0))
  }
  assert.equal(readFileSync(path, 'utf8'), 'new')
  assert.deepEqual(readdirSync(dir.path), ['map.db'])
})

test('where filling fails, the old file stays and the temporary one goes', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  writeFileSync(path, 'old')
  const failing = replaceFile(realDisk, path, () => Promise.reject(new Error('no more')))
  await assert.rejects(failing, /no more/)
  assert.equal(readFileSync(path, 'utf8'), 'old')
  assert.deepEqual(readdirSync(dir.path), ['map.db'])
})

test('what a writer that died has left is removed, what one that lives is writing stays', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  const { pid: dead } = spawnSync(process.execPath, ['--version'])
  writeFileSync(dir.join(`.map.db.${dead}.tmp`), 'half')
  writeFileSync(dir.join(`.map.db.${process.pid}.tmp`), 'half')
  writeFileSync(dir.join(`.map.db.${process.ppid}.tmp`), 'under way')
  writeFileSync(dir.join('.map.db.notes.tmp'), 'mine')
  await replaceFile(realDisk, path, (file) => file.write(Buffer.from('new'), 0))
  assert.deepEqual(
    readdirSync(dir.path).sort((left, right) => left.localeCompare(right)),
    ['map.db', `.map.db.${process.ppid}.tmp`, '.map.db.notes.tmp'].sort((left, right) =>
      left.localeCompare(right),
    ),
  )
})
