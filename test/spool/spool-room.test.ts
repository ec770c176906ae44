/** A spool on a file system of its own that is small: a tmpfs that only one process sees. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tempDir } from '../support/temp-dir.ts'

const program = fileURLToPath(new URL('../support/crowded-spool.ts', import.meta.url))

interface Report {
  readonly codes: readonly string[]
  readonly accepted: number
  readonly whole: number
  readonly names: readonly string[]
  /** Before and when it is full. */
  readonly isShort: readonly boolean[]
  readonly afterRoom: string
}

/** Fills a spool until it is refused, makes room, and goes on. */
function crowd(mount: string, bytes: number): Report {
  using dir = tempDir()
  const shell = `mount -t tmpfs -o ${mount} tmpfs "$0" && exec "$1" "$2" "$0" "$3"`
  // An ordinary user may mount in a user namespace of its own.
  const privately = process.getuid?.() === 0 ? ['-m'] : ['-r', '-m']
  const args = [...privately, 'sh', '-c', shell]
  const rest = [dir.path, process.execPath, program, String(bytes)]
  const { stdout, stderr } = spawnSync('unshare', [...args, ...rest], { encoding: 'utf8' })
  assert.notEqual(stdout, '', stderr)
  return JSON.parse(stdout) as Report
}

test('a full disk is SPOOL_FULL, what was taken is whole, nothing half is left, and room is enough again', () => {
  const report = crowd('size=1m', 30_000)
  assert.deepEqual(new Set(report.codes), new Set(['SPOOL_FULL']))
  assert.ok(report.accepted > 5)
  assert.equal(report.whole, report.accepted)
  assert.deepEqual(report.names, [])
  assert.deepEqual(report.isShort, [false, true])
  assert.equal(report.afterRoom, 'accepted')
})

test('so it is where there is no room for one more name', () => {
  const report = crowd('size=10m,nr_inodes=12', 100)
  assert.deepEqual(new Set(report.codes), new Set(['SPOOL_FULL']))
  assert.ok(report.accepted > 3)
  assert.equal(report.whole, report.accepted)
  assert.deepEqual(report.names, [])
  assert.deepEqual(report.isShort, [false, true])
  assert.equal(report.afterRoom, 'accepted')
})
