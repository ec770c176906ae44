/** A map on a file system of its own that is full: a tmpfs that only one process sees. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sampleAfter } from '../../support/sample-change.ts'
import { tempDir } from '../../support/temp-dir.ts'

const program = fileURLToPath(new URL('../../support/crowded-map.ts', import.meta.url))

test('on a full disk every answer is with the changes, and a change or a build is refused whole', () => {
  using dir = tempDir()
  const shell = `mount -t tmpfs -o size=512k,mode=700 tmpfs "$0" && exec "$1" "$2" "$0"`
  // An ordinary user may mount in a user namespace of its own.
  const privately = process.getuid?.() === 0 ? ['-m'] : ['-r', '-m']
  const args = [...privately, 'sh', '-c', shell, dir.path, process.execPath, program]
  const { stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
  assert.notEqual(stdout, '', stderr)
  assert.deepEqual(JSON.parse(stdout), {
    tooBig: 'MAP_WRITE_FAILED',
    left: [],
    full: { found: sampleAfter, reported: [] },
    refused: ['STATE_UNUSABLE', 'STATE_UNUSABLE'],
    stillFull: sampleAfter,
    made: ['done', 'done'],
  })
})
