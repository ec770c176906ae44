import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, linkSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { MailmuxError } from '../../src/base/error.ts'
import { askDaemon } from '../../src/control/client.ts'
import type { ReloadReport, StatusReport } from '../../src/control/messages.ts'
import { controlPath } from '../../src/control/path.ts'
import { openControl } from '../../src/control/server.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const report: ReloadReport = { generation: 7, workers: 2, listeners: ['imap 127.0.0.1:143'] }
const handlers = {
  status: () => Promise.resolve({ pid: 1 } as StatusReport),
  reload: () => Promise.resolve(report),
  queue: () => Promise.resolve({ messages: [] }),
  who: () => Promise.resolve({ sessions: [], silent: [] }),
  kick: () => Promise.resolve({ user: 'ann@example.com', sessions: 0, silent: [] }),
  freeze: () => Promise.reject(new Error('not asked')),
  thaw: () => Promise.reject(new Error('not asked')),
  drain: () => Promise.resolve({ pid: 1, sessions: 0 }),
  restart: () => Promise.resolve({ workers: 1, sessions: 0 }),
}

async function talk(dir: TempDir, bytes: string): Promise<{ socket: Socket; text: string }> {
  const socket = connect(controlPath(dir.path))
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  socket.on('error', () => undefined)
  socket.write(bytes)
  await once(socket, 'close')
  return { socket, text }
}

function code(wanted: string): (error: unknown) => boolean {
  return (error) => error instanceof MailmuxError && error.code === wanted
}

test('a request is answered', async () => {
  using dir = tempDir()
  await using control = await openControl(dir.path, handlers)
  assert.ok(control)
  assert.deepEqual(await askDaemon(dir.path, 'reload', 5000), report)
})

test('the socket is for its owner only, also under a umask that hides nothing', async () => {
  using dir = tempDir()
  const before = process.umask(0)
  try {
    await using control = await openControl(dir.path, handlers)
    assert.ok(control)
    assert.equal(statSync(controlPath(dir.path)).mode & 0o777, 0o600)
    assert.equal(process.umask(), 0)
  } finally {
    process.umask(before)
  }
})

test('a refusal comes with its code and every problem', async () => {
  using dir = tempDir()
  const text = 'a.yaml:1:1: wrong\nb.yaml: wrong too\n2 problems'
  await using control = await openControl(dir.path, {
    ...handlers,
    reload: () => Promise.reject(new MailmuxError('RELOAD_REFUSED', text)),
  })
  assert.ok(control)
  await assert.rejects(
    askDaemon(dir.path, 'reload', 5000),
    (error) => code('RELOAD_REFUSED')(error) && (error as Error).message === text,
  )
})

test('a fault inside the daemon is an answer, and the next request is served', async () => {
  using dir = tempDir()
  await using control = await openControl(dir.path, {
    ...handlers,
    status: () => Promise.reject(new TypeError('oops')),
  })
  assert.ok(control)
  await assert.rejects(askDaemon(dir.path, 'status', 5000), code('DAEMON_REFUSED'))
  assert.deepEqual(await askDaemon(dir.path, 'reload', 5000), report)
})

const malformed = [
  ['not JSON', 'BAD_FRAME', 'status\n'],
  ['HTTP', 'BAD_FRAME', 'GET / HTTP/1.1\r\n\r\n'],
  ['bytes', 'BAD_FRAME', '\u0000\u0001\n'],
  ['another version', 'BAD_VERSION', '{"v":9,"do":"status"}\n'],
  ['an unknown request', 'BAD_REQUEST', '{"v":1,"do":"quit"}\n'],
  ['an endless line', 'BAD_FRAME', 'x'.repeat(70_000)],
] as const

for (const [what, wanted, bytes] of malformed) {
  test(`${what} is refused, the client is cut off, and the daemon serves on`, async () => {
    using dir = tempDir()
    await using control = await openControl(dir.path, handlers)
    assert.ok(control)
    const { text } = await talk(dir, bytes)
    const [answer = ''] = text.split('\n')
    assert.equal((JSON.parse(answer) as { error: { code: string } }).error.code, wanted)
    assert.deepEqual(await askDaemon(dir.path, 'reload', 5000), report)
  })
}

test('several requests of one client are answered in order', async () => {
  using dir = tempDir()
  await using control = await openControl(dir.path, handlers)
  assert.ok(control)
  const { text } = await talk(dir, '{"v":1,"do":"reload"}\n{"v":1,"do":"status"}\nend\n')
  const answers = text.trim().split('\n')
  assert.equal(answers.length, 3)
  assert.match(answers[0] ?? '', /"generation":7/)
  assert.match(answers[1] ?? '', /"pid":1/)
  assert.match(answers[2] ?? '', /BAD_FRAME/)
})

test('a client that leaves in the middle of a frame or before its answer harms nothing', async () => {
  using dir = tempDir()
  const { promise, resolve } = Promise.withResolvers<ReloadReport>()
  const asked = Promise.withResolvers<void>()
  const reload = (): Promise<ReloadReport> => {
    asked.resolve()
    return promise
  }
  await using control = await openControl(dir.path, { ...handlers, reload })
  assert.ok(control)
  const half = connect(controlPath(dir.path))
  await once(half, 'connect')
  half.write('{"v":1,')
  half.destroy()
  const gone = connect(controlPath(dir.path))
  gone.write('{"v":1,"do":"reload"}\n')
  await asked.promise
  gone.destroy()
  resolve(report)
  assert.deepEqual(await askDaemon(dir.path, 'reload', 5000), report)
})

/** A name that nobody listens behind, as kill -9 leaves it. */
async function leaveDeadSocket(dir: TempDir): Promise<void> {
  const dead = createServer()
  dead.listen(dir.join('dead'))
  await once(dead, 'listening')
  // Closing removes the name that was listened on; the other one stays.
  linkSync(dir.join('dead'), controlPath(dir.path))
  dead.close()
  await once(dead, 'close')
  assert.ok(existsSync(controlPath(dir.path)))
}

test('the socket of a daemon that was killed is taken over', async () => {
  using dir = tempDir()
  await leaveDeadSocket(dir)
  await using control = await openControl(dir.path, handlers)
  assert.ok(control)
  assert.deepEqual(await askDaemon(dir.path, 'reload', 5000), report)
})

test('nothing is left behind at the end', async () => {
  using dir = tempDir()
  const control = await openControl(dir.path, handlers)
  await control[Symbol.asyncDispose]()
  assert.deepEqual(readdirSync(dir.path), [])
  await assert.rejects(askDaemon(dir.path, 'status', 5000), code('DAEMON_UNREACHABLE'))
})

test('a run_dir that cannot be used is named', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('file'), '')
  await assert.rejects(openControl(dir.join('file'), handlers), code('RUN_DIR_UNUSABLE'))
  const deep = dir.join('x'.repeat(120))
  await assert.rejects(
    openControl(deep, handlers),
    (error) => code('RUN_DIR_UNUSABLE')(error) && /too long/.test((error as Error).message),
  )
})

test('a daemon that does not answer is unreachable after the time given', async () => {
  using dir = tempDir()
  const silent = createServer(() => undefined)
  silent.listen(controlPath(dir.path))
  await once(silent, 'listening')
  await assert.rejects(askDaemon(dir.path, 'status', 50), code('DAEMON_UNREACHABLE'))
  silent.close()
})

test('what answers in another language is not taken for a daemon', async () => {
  using dir = tempDir()
  const stranger = createServer((socket) => socket.end('220 mx ESMTP\r\n'))
  stranger.listen(controlPath(dir.path))
  await once(stranger, 'listening')
  await assert.rejects(askDaemon(dir.path, 'status', 5000), code('DAEMON_UNREACHABLE'))
  stranger.close()
})
