import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startDaemon } from '../support/daemon.ts'
import { echoConfig, mapOf } from '../support/echo-daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const commandLineOnly =
  /\/node_modules\/(?:@oclif|chalk|inquirer|@inquirer|yaml|typebox|pg|mysql2|ldapts)\//
const recorder = new URL('../support/record-modules.ts', import.meta.url).href

test('a worker loads the front ends that listen, and nothing of the command line', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  mkdirSync(dir.join('modules'))
  const env = { NODE_OPTIONS: `--import ${recorder}`, RECORD_MODULES: dir.join('modules') }
  const listen = 'listen: {imap: ["127.0.0.1:0"]}\n'
  await using daemon = await startDaemon({ dir, config: echoConfig(listen), env })
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.line()
  const loadedBy = (pid: number): string => readFileSync(dir.join('modules', String(pid)), 'utf8')
  const { pid } = await daemon.waitFor('worker.started')
  const worker = loadedBy(pid)
  assert.match(worker, /\/src\/daemon\/worker-main\.ts\n/)
  assert.match(worker, /\/front-end\/imap\.ts\n/)
  assert.match(worker, /\/node_modules\/pino\//)
  assert.doesNotMatch(worker, commandLineOnly)
  assert.doesNotMatch(worker, /\/front-end\/(?:smtp|pop3)\.ts\n/)
  // The same look finds them where they are.
  const supervisor = loadedBy(daemon.pid)
  assert.match(supervisor, /\/node_modules\/@oclif\//)
  assert.match(supervisor, /\/node_modules\/yaml\//)
})
