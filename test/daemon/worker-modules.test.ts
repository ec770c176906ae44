import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startDaemon } from '../support/daemon.ts'
import { echoConfig, mapOf } from '../support/echo-daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const commandLineOnly =
  /\/node_modules\/(?:@oclif|chalk|inquirer|@inquirer|yaml|typebox|pg|mysql2|ldapts)\//
const recorder = new URL('../support/record-modules.ts', import.meta.url).href
const recordedWorker = new URL('../support/recorded-worker.ts', import.meta.url).href
const program = fileURLToPath(new URL('../support/serve-echo.ts', import.meta.url))

test('a worker loads the front ends that listen, and nothing of the command line', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  mkdirSync(dir.join('modules'))
  const env = { WORKER_ENTRY: recordedWorker, RECORD_MODULES: dir.join('modules') }
  const listen = 'listen: {imap: ["127.0.0.1:0"]}\n'
  await using daemon = await startDaemon({ dir, config: echoConfig(listen), program, env })
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.line()
  const { pid } = await daemon.waitFor('worker.started')
  const worker = readFileSync(dir.join('modules', String(pid)), 'utf8')
  assert.match(worker, /\/src\/daemon\/worker-main\.ts\n/)
  assert.match(worker, /\/front-end\/imap\.ts\n/)
  assert.match(worker, /\/node_modules\/pino\//)
  assert.doesNotMatch(worker, commandLineOnly)
  assert.doesNotMatch(worker, /\/front-end\/(?:smtp|pop3|sieve)\.ts\n/)
  assert.match(worker, /^execArgv --expose-gc --disable-warning=ExperimentalWarning$/m)
})

test('NODE_OPTIONS and the like reach no worker', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  mkdirSync(dir.join('modules'))
  const env = {
    NODE_OPTIONS: `--import ${recorder}`,
    RECORD_MODULES: dir.join('modules'),
    NODE_TLS_REJECT_UNAUTHORIZED: '0',
    NODE_DEBUG: 'net',
  }
  const listen = 'listen: {imap: ["127.0.0.1:0"]}\n'
  await using daemon = await startDaemon({ dir, config: echoConfig(listen), env, fromSource: true })
  const { pid } = await daemon.waitFor('worker.started')
  const words = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  assert.ok(words.length > 2)
  assert.deepEqual(
    words.filter((word) => /^NODE_(?:OPTIONS|TLS|DEBUG)/.test(word)),
    [],
  )
  // The first process has them, and the same look finds what it loads of the command line.
  assert.deepEqual(readdirSync(dir.join('modules')), [String(daemon.pid)])
  const supervisor = readFileSync(dir.join('modules', String(daemon.pid)), 'utf8')
  assert.match(supervisor, /\/node_modules\/@oclif\//)
  assert.match(supervisor, /\/node_modules\/yaml\//)
})
