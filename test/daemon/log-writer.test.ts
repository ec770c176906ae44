import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CounterTable } from '../../src/daemon/counters.ts'
import { type LogOptions, type LogWriter, openLog } from '../../src/daemon/log-writer.ts'
import { tempDir } from '../support/temp-dir.ts'

const peer = { service: 'imap', session: '3-1', peer: '192.0.2.1:5' } as const
const module = fileURLToPath(new URL('../../src/daemon/log-writer.ts', import.meta.url))

/** What a log writes into a file. */
async function written(
  write: (writer: LogWriter) => void,
  options: LogOptions = {},
): Promise<object[]> {
  using dir = tempDir()
  const fd = openSync(dir.join('log'), 'a')
  try {
    await using writer = openLog({ ...options, fd })
    write(writer)
  } finally {
    closeSync(fd)
  }
  const lines = readFileSync(dir.join('log'), 'utf8').split('\n')
  assert.equal(lines.pop(), '')
  return lines.map((line) => JSON.parse(line) as object)
}

test('an event is one JSON line with its level, time, name and fields, and nothing else', async () => {
  const [line] = await written(({ log }) => log('daemon.stopping', { reason: 'SIGTERM' }))
  assert.ok(line && 'time' in line && typeof line.time === 'string')
  assert.equal(new Date(line.time).toISOString(), line.time)
  const { time, ...rest } = line
  assert.ok(time)
  assert.deepEqual(rest, { level: 'info', event: 'daemon.stopping', reason: 'SIGTERM' })
})

test('the lines of a worker bear its number', async () => {
  const [line] = await written(({ log }) => log('internal', { reason: 'x', detail: '' }), {
    worker: 3,
  })
  assert.deepEqual(
    { ...line, time: '' },
    {
      level: 'error',
      time: '',
      worker: 3,
      event: 'internal',
      reason: 'x',
      detail: '',
    },
  )
})

test('a worker that ended as it should is no warning, any other end is', async () => {
  const lines = await written(({ log }) => {
    log('worker.exited', { worker: 1, pid: 7, code: 0, signal: null })
    log('worker.exited', { worker: 1, pid: 7, code: 1, signal: null })
    log('worker.exited', { worker: 1, pid: 7, code: null, signal: 'SIGKILL' })
  })
  assert.deepEqual(
    lines.map((line) => 'level' in line && line.level),
    ['info', 'warn', 'warn'],
  )
})

test('a line stays one line whatever a peer put into its fields', async () => {
  const detail = 'a\nb\r\n{"event":"forged"}\u2028\u0000"'
  const lines = await written(({ log }) => log('internal', { reason: 'x', detail }))
  assert.equal(lines.length, 1)
  assert.equal('detail' in (lines[0] ?? {}) && (lines[0] as { detail: string }).detail, detail)
})

test('a storm of one kind is written as its first ten and their sum, and counted in full', async () => {
  const counters = new CounterTable()
  const lines = (await written(
    ({ log }) => {
      for (let n = 0; n < 1000; n++) log('refuse', { ...peer, reason: 'line_too_long' })
      log('refuse', { ...peer, reason: 'conn_limit' })
    },
    { counters },
  )) as { event: string; reason?: string; count?: number; key?: string; of?: string }[]
  const refused = lines.filter(({ event }) => event === 'refuse')
  const passed = refused.filter(({ reason }) => reason === 'line_too_long').length
  // The second may end between two of them.
  assert.ok(passed >= 10 && passed <= 30, `${passed}`)
  assert.equal(refused.length - passed, 1)
  const sums = lines.filter(({ event }) => event === 'log.suppressed')
  assert.deepEqual(
    sums.map(({ of, key }) => [of, key]),
    [['refuse', 'imap,line_too_long']],
  )
  assert.equal(passed + (sums[0]?.count ?? 0), 1000)
  assert.equal(counters.snapshot()['refused:imap,line_too_long'], 1000)
})

const ended = { end: 'logout', tls: '', duration_ms: 1, bytes_in: 1, bytes_out: 1 } as const

test('the end of a session in which something was done is written, however many there are', async () => {
  const lines = await written(({ log }) => {
    const fields = { ...peer, ...ended, generation: 1 }
    for (let n = 0; n < 500; n++) log('session.end', { ...fields, user: 'ann@example.com' })
    for (let n = 0; n < 500; n++) log('session.end', { ...fields, service: 'smtp', messages: 1 })
  })
  assert.equal(lines.length, 1000)
})

test('of sessions in which nothing was done a hundred of a kind are written in a second', async () => {
  const lines = (await written(({ log }) => {
    for (let n = 0; n < 1000; n++) log('session.end', { ...peer, ...ended, generation: 1 })
  })) as { event: string; count?: number; key?: string }[]
  const passed = lines.filter(({ event }) => event === 'session.end').length
  assert.ok(passed >= 100 && passed <= 300, `${passed}`)
  const sum = lines.find(({ event }) => event === 'log.suppressed')
  assert.deepEqual([sum?.key, passed + (sum?.count ?? 0)], ['imap,logout', 1000])
})

test('a reader that stands still costs lines, which are counted, and no waiting', async () => {
  using dir = tempDir()
  const script = `
    import { openLog } from ${JSON.stringify(module)}
    const writer = openLog()
    const detail = 'x'.repeat(1000)
    const start = performance.now()
    for (let n = 0; n < 20_000; n++) writer.log('internal', { reason: 'x', detail })
    process.stderr.write(JSON.stringify({ ms: performance.now() - start, dropped: writer.dropped }))
    process.on('exit', () => writer.flush())
    process.once('SIGTERM', () => writer.finish().then(() => process.exit(0)))
    setInterval(() => undefined, 1000)
  `
  writeFileSync(dir.join('writer.ts'), script)
  const child = spawn(process.execPath, [dir.join('writer.ts')])
  child.stdout.pause()
  const [said] = (await once(child.stderr, 'data')) as [Buffer]
  const { ms, dropped } = JSON.parse(said.toString()) as { ms: number; dropped: number }
  assert.ok(dropped > 10_000 && dropped < 20_000, `${dropped} dropped`)
  assert.ok(ms < 5000, `${ms} ms`)
  // Now it reads: whole lines, and word of what is missing.
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.includes('log.dropped')) child.kill()
  })
  child.stdout.resume()
  await once(child, 'close')
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; count?: number })
  const missing = lines.find(({ event }) => event === 'log.dropped')
  assert.equal(missing?.count, dropped)
  assert.equal(lines.filter(({ event }) => event === 'internal').length, 20_000 - dropped)
})

test('a log whose reader has gone does not end the process', async () => {
  using dir = tempDir()
  const script = `
    import { openLog } from ${JSON.stringify(module)}
    const writer = openLog()
    process.on('exit', () => writer.flush())
    process.stdin.once('data', () => {
      for (let n = 0; n < 100; n++) writer.log('internal', { reason: 'x', detail: '' })
      setImmediate(() => process.exit(7))
    })
    process.stderr.write('ready')
  `
  writeFileSync(dir.join('writer.ts'), script)
  const child = spawn(process.execPath, [dir.join('writer.ts')])
  await once(child.stderr, 'data')
  child.stdout.destroy()
  await once(child.stdout, 'close')
  child.stdin.end('go')
  const [code] = (await once(child, 'exit')) as [number | null]
  assert.equal(code, 7)
})
