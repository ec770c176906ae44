import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { UnusableFile } from '../../src/spool/message-file.ts'
import { contentOf, openSpool, plainMessage } from '../support/spool.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const skip = skipWithout('strace')
const never = 1_000_000
/** Calls of the disk until both messages are taken in. */
const afterAccepting = 14
const program = fileURLToPath(new URL('../support/killed-spool.ts', import.meta.url))

interface Life {
  readonly accepted: readonly string[]
  readonly final: ReadonlySet<string>
  readonly isComplete: boolean
}

/** `inject`: what strace is to do to its calls; they are counted in each thread by itself. */
async function live(folder: string, killAt: number, inject?: string): Promise<Life> {
  const [calls = ''] = inject?.split(':') ?? []
  const traced = ['strace', '-f', '-o', '/dev/null', '-e', `trace=${calls}`]
  const tracer = inject === undefined ? [] : [...traced, '-e', `inject=${inject}`]
  const [command, ...args] = [...tracer, process.execPath, program, folder, String(killAt)]
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Calls that io_uring makes would not be seen; a single thread makes the order certain.
    env: {
      ...process.env,
      UV_USE_IO_URING: '0',
      UV_THREADPOOL_SIZE: '1',
      NODE_DISABLE_COMPILE_CACHE: '1',
    },
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const [, signal] = (await once(child, 'close')) as [number | null, string | null]
  const lines = said.split('\n').map((line) => line.split(' '))
  const isComplete = said.endsWith('end\n')
  assert.equal(signal, isComplete ? null : 'SIGKILL')
  return {
    accepted: lines.flatMap(([what, id = '']) => (what === 'accepted' ? [id] : [])),
    final: new Set(lines.flatMap(([what, ...of]) => (what === 'final' ? [of.join(' ')] : []))),
    isComplete,
  }
}

test('killed at any call of the disk, half a write done, the spool keeps what it has promised', async () => {
  let calls = 0
  for (let isComplete = false; !isComplete; calls++) {
    using dir = tempDir()
    const life = await live(dir.path, calls + 1)
    ;({ isComplete } = life)
    using spool = await openSpool(dir.path)
    await spool.store.removeLeftovers(Date.now())
    const { ids, odd } = await spool.store.contents()
    assert.deepEqual(odd, [], `call ${calls + 1}`)
    for (const id of life.accepted) {
      const isDone = [0, 1].every((index) => life.final.has(`${id} ${index}`))
      if (isDone && !ids.includes(id)) continue
      const file = await spool.store.open(id)
      assert.equal(await contentOf(file), plainMessage)
      for (const { index, result } of file.progress.recipients) {
        if (life.final.has(`${id} ${index}`)) assert.equal(result, 'delivered', `call ${calls + 1}`)
      }
      await file.close()
    }
    // One that was killed before it could say so may be there, whole.
    for (const id of ids) await (await spool.store.open(id)).close()
  }
  assert.ok(calls > 30, `${calls} calls`)
})

test('calls of the disk that are interrupted are made again', { skip }, async () => {
  using dir = tempDir()
  const life = await live(dir.path, never, 'pwrite64,fsync:error=EINTR:when=1+2')
  assert.ok(life.isComplete)
  assert.deepEqual([life.accepted.length, life.final.size], [2, 4])
})

for (const [call, what] of [
  [1, 'all of a message'],
  [2, 'the content of one'],
  [3, 'the envelope of one'],
] as const) {
  test(`a disk that writes less than it says of ${what} is found out before anything is sent`, {
    skip,
  }, async () => {
    using dir = tempDir()
    // Before it has read any of them.
    const life = await live(dir.path, afterAccepting, `pwrite64:retval=10:when=${call}`)
    assert.equal(life.accepted.length, 2)
    using spool = await openSpool(dir.path)
    const found = await Promise.allSettled(
      life.accepted.map(async (id) => {
        const file = await spool.store.open(id)
        try {
          return await contentOf(file)
        } finally {
          await file.close()
        }
      }),
    )
    const bad = call === 1 ? 0 : 1
    const [damaged] = found.splice(bad, 1)
    assert.ok(damaged?.status === 'rejected')
    assert.equal((damaged.reason as UnusableFile).reason, 'damaged')
    assert.deepEqual(found, [{ status: 'fulfilled', value: plainMessage }])
  })
}

test('one process has a spool; another one is told who', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const text = `import { SpoolStore } from '${new URL('../../src/spool/spool-store.ts', import.meta.url).href}'
    import { spoolPlaces } from '${new URL('../../src/spool/spool-places.ts', import.meta.url).href}'
    import { realDisk } from '${new URL('../../src/storage/disk.ts', import.meta.url).href}'
    await SpoolStore.open(realDisk, spoolPlaces(process.argv[1])).catch((e) => console.log(e.code, e.message))`
  const args = ['--input-type=module', '--eval', text, dir.path]
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.match(stdout, /^SPOOL_BUSY .*\/spool: in use \(process \d+: /)
  assert.match(stdout, new RegExp(`process ${process.pid}:`))
  assert.deepEqual((await spool.store.contents()).ids, [])
})
