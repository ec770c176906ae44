import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { realDisk } from '../../src/storage/disk.ts'
import { tempDir } from '../support/temp-dir.ts'

test('a folder is made with those above it, and again', async () => {
  using dir = tempDir()
  for (let times = 0; times < 2; times++) {
    await realDisk.makeDirectory(dir.join('a/b/c'))
    assert.ok(statSync(dir.join('a/b/c')).isDirectory())
  }
})

test('where no folder can be, that is said', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('file'), '')
  await assert.rejects(realDisk.makeDirectory(dir.join('file')), { code: 'EEXIST' })
  await assert.rejects(realDisk.makeDirectory(dir.join('file/a/b')), { code: 'ENOTDIR' })
  await assert.rejects(realDisk.makeDirectory('/proc/none'), { code: 'ENOENT' })
  await assert.rejects(realDisk.makeDirectory('/proc/none/b'), { code: 'ENOENT' })
})

test('many who make the same directories in one moment have them all', async () => {
  for (let round = 0; round < 20; round++) {
    using dir = tempDir()
    const path = dir.join('a/b/c/d')
    await Promise.all(Array.from({ length: 20 }, () => realDisk.makeDirectory(path)))
    assert.ok(statSync(path).isDirectory())
  }
})
