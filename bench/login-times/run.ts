/**
 * What the time of an answer to a failed login tells of its user: logins of all kinds in turn, at the
 * IMAP proxy of a real `mailmux serve`, with medians and a statistic for each kind against a user who
 * exists and whose password is wrong.
 *
 *   node bench/login-times/run.ts [--tries 500] [--delay 200ms] [--backend 1-20]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { formatTable } from '../../src/cli/table.ts'
import { loadConfig } from '../../src/config/load.ts'
import { freezeUser } from '../../src/control/freeze.ts'
import { buildMap } from '../../src/map/build.ts'
import { type Daemon, startDaemon, writeConfig } from '../../test/support/daemon.ts'
import { Peer } from '../../test/support/peer.ts'
import { type TempDir, tempDir } from '../../test/support/temp-dir.ts'
import { compare, quantile, type Times } from './compare.ts'

const { values } = parseArgs({
  options: {
    tries: { type: 'string', default: '500' },
    delay: { type: 'string', default: '200ms' },
    backend: { type: 'string', default: '1-20' },
  },
})
const tries = Number(values.tries)
const atOnce = 10

/** A login that fails, by the number of the try: each name once, since failures under one add up. */
const kinds: Readonly<Record<string, (number: number) => string>> = {
  'wrong password': (number) => `known${number}@example.com`,
  'unknown user': (number) => `nobody${number}@example.com`,
  'unknown domain': (number) => `known${number}@example.net`,
  'user frozen for a move': (number) => `frozen${number % 10}@example.com`,
  'back-end is down': (number) => `down${number}@example.com`,
}

function configText(port: number): string {
  return `hostname: mx.example.com
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, imap: ${port}}
  ingrid: {host: 127.0.0.1, imap: 1}
map: {user_map: user_map, rules: rules}
listen: {imap: ["127.0.0.1:0"]}
limits: {auth_failure_delay: ${values.delay}, auth_failures_alarm: 9999/second}
move: {hold: 0s}
probe_interval: 0s
workers: 1
`
}

async function startBackend(): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const program = new URL('./backend.ts', import.meta.url).pathname
  const args = [program, ...values.backend.split('-')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, port: Number(chunk.toString()) }
}

async function startSite(dir: TempDir, port: number): Promise<Daemon> {
  const names = Array.from({ length: tries }, (_, number) => `known${number}@example.com fritz\n`)
  writeFileSync(dir.join('user_map'), names.join(''))
  writeFileSync(dir.join('rules'), '/^frozen/ fritz\n/^down/ ingrid\n')
  const config = configText(port)
  await buildMap((await loadConfig(writeConfig(dir, config))).config)
  const daemon = await startDaemon({ dir, config })
  for (let number = 0; number < 10; number++) {
    const user = `frozen${number}@example.com`
    await freezeUser(dir.join('run'), { user, epoch: 1, ttl_ms: 600_000 })
  }
  return daemon
}

interface Answer {
  readonly ms: number
  readonly text: string
}

async function logIn(port: number, login: string): Promise<Answer> {
  using client = await Peer.connect(port)
  await client.expect(/^\* OK .*\r\n/)
  const startedAt = performance.now()
  client.send(`a LOGIN ${login} wrong\r\n`)
  const [line] = await client.expect(/^a (?:NO|BAD) .*\r\n/)
  return { ms: performance.now() - startedAt, text: line.trim() }
}

/** Kinds take turns, some at once, so that what the machine does else meets all of them. */
async function measure(port: number): Promise<Map<string, Answer[]>> {
  const answers = new Map(Object.keys(kinds).map((kind) => [kind, [] as Answer[]]))
  const due = Array.from({ length: tries }, (_, number) =>
    Object.entries(kinds).map(([kind, nameOf]) => ({ kind, login: nameOf(number) })),
  ).flat()
  const work = async (): Promise<void> => {
    for (let next = due.shift(); next !== undefined; next = due.shift()) {
      answers.get(next.kind)?.push(await logIn(port, next.login))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return answers
}

const columns = [
  { title: 'answer to' },
  { title: 'median ms', align: 'right' },
  { title: '5 %', align: 'right' },
  { title: '95 %', align: 'right' },
  { title: 'slower', align: 'right' },
  { title: 'z', align: 'right' },
  { title: 'text' },
] as const

function report(answers: ReadonlyMap<string, readonly Answer[]>): string[] {
  const timesOf = (kind: string): Times => (answers.get(kind) ?? []).map(({ ms }) => ms)
  const known = timesOf('wrong password')
  const rows = [...answers].map(([kind, heard]) => {
    const times = timesOf(kind)
    const { slower, z } = compare(times, known)
    const texts = new Set(heard.map(({ text }) => text))
    const figures = [0.5, 0.05, 0.95].map((share) => quantile(times, share).toFixed(2))
    return [kind, ...figures, slower.toFixed(3), z.toFixed(1), [...texts].join(' | ')]
  })
  return formatTable(columns, rows)
}

using dir = tempDir()
const { child, port } = await startBackend()
try {
  await using daemon = await startSite(dir, port)
  const answers = await measure(daemon.port('imap'))
  const setting = `auth_failure_delay ${values.delay}, back-end ${values.backend} ms`
  process.stdout.write(`${tries} of each, ${atOnce} at once, ${setting}\n`)
  for (const line of report(answers)) process.stdout.write(`${line}\n`)
} finally {
  child.kill()
}
