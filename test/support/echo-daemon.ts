/** Daemons with the toy front ends of echo-worker.ts and a map that names nobody. */
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { type Daemon, type DaemonOptions, launchDaemon } from './daemon.ts'
import { writeEmptyMap } from './map-file.ts'
import { Peer } from './peer.ts'
import type { TempDir } from './temp-dir.ts'

const program = fileURLToPath(new URL('./serve-echo.ts', import.meta.url))

/** A config with an IMAP and a POP3 listener; `more` is further YAML. */
export function echoConfig(more = '', hostname = 'mx.example.com'): string {
  const listen = /^listen:/m.test(more)
    ? ''
    : 'listen: {imap: ["127.0.0.1:0"], pop3: ["127.0.0.1:0"]}\n'
  const workers = /^workers:/m.test(more) ? '' : 'workers: 2\n'
  return `hostname: ${hostname}
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: 143}, ingrid: {host: 127.0.0.1, imap: 143}}
${listen}${workers}${more}`
}

export function mapOf(dir: TempDir): string {
  return dir.join('state', 'map.db')
}

/** Starts one with map generation 1, and waits until it is ready. */
export async function startEcho(
  dir: TempDir,
  more = '',
  options: Partial<DaemonOptions> = {},
): Promise<Daemon> {
  await writeEmptyMap(mapOf(dir), 1)
  const daemon = launchEcho(dir, more, options)
  try {
    await daemon.waitFor('daemon.ready')
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
  return daemon
}

/** Starts one without a map and without waiting. */
export function launchEcho(dir: TempDir, more = '', options: Partial<DaemonOptions> = {}): Daemon {
  return launchDaemon({ dir, config: echoConfig(more), program, ...options })
}

/**
 * Connects, one client after the other, until `until` is settled: each must be served. Returns how many
 * there were.
 */
export async function connectUntil(until: Promise<unknown>, daemon: Daemon): Promise<number> {
  const over = new AbortController()
  const noteEnd = (): void => over.abort()
  void until.then(noteEnd, noteEnd)
  let count = 0
  while (!over.signal.aborted) {
    using peer = await Peer.connect(daemon.port('imap'))
    assert.match(await peer.line(), /^imap none \d+$/)
    assert.match(await peer.send('quit\r\n').end(), /bye\r\n$/)
    count++
  }
  return count
}
