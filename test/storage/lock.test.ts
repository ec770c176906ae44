import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { takeLock } from '../../src/storage/lock.ts'
import { tempDir } from '../support/temp-dir.ts'

const lockModule = fileURLToPath(new URL('../../src/storage/lock.ts', import.meta.url))

test('a lock has one holder, and is free when it is given back', () => {
  using dir = tempDir()
  const first = takeLock(dir.join('lock'))
  assert.ok(first)
  assert.equal(takeLock(dir.join('lock')), undefined)
  first[Symbol.dispose]()
  using second = takeLock(dir.join('lock'))
  assert.ok(second)
})

test('only its owner may open the file', () => {
  using dir = tempDir()
  using lock = takeLock(dir.join('lock'))
  assert.ok(lock)
  assert.equal(statSync(dir.join('lock')).mode & 0o777, 0o600)
})

test('the lock of a process that was killed is free', async () => {
  using dir = tempDir()
  writeFileSync(
    dir.join('hold.ts'),
    `import { takeLock } from ${JSON.stringify(lockModule)}
     globalThis.held = takeLock(process.argv[2])
     process.stdout.write(String(globalThis.held !== undefined))
     setInterval(() => {}, 1000)`,
  )
  const holder = spawn(process.execPath, [dir.join('hold.ts'), dir.join('lock')])
  const [said] = (await once(holder.stdout, 'data')) as [Buffer]
  assert.equal(said.toString(), 'true')
  assert.equal(takeLock(dir.join('lock')), undefined)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  using lock = takeLock(dir.join('lock'))
  assert.ok(lock)
})

test('a folder that is not there is an error, not a lock in other hands', () => {
  using dir = tempDir()
  assert.throws(() => takeLock(dir.join('none', 'lock')))
})
