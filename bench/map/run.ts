/**
 * Builds maps of the same users with mailmux and its peers, in turn, and prints medians and ratios;
 * then lookups. `--users 1000000,10000000 --runs 3 --renamed 0 --dir DIR --peers cdb,gdbm`
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../../src/cli/table.ts'
import { foreignFunctionsFlag } from '../../src/storage/foreign-functions.ts'
import { peers as allPeers } from './peers.ts'
import type { ChangeTimes } from './measure-change.ts'
import { writeUsers } from './users.ts'

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    /** Share of users with another name at their back-end. */
    renamed: { type: 'string', default: '0' },
    dir: { type: 'string', default: tmpdir() },
    /** Only peers whose names have one of these words. */
    peers: { type: 'string', default: 'cdb,postmap,gdbm' },
  },
})
const peers = allPeers.filter(({ name }) =>
  values.peers.split(',').some((word) => name.includes(word)),
)
const measure = join(import.meta.dirname, 'measure.ts')

interface Built {
  readonly seconds: number
  readonly bytes: number
  readonly peakMiB: number
}

function run(
  kind: 'build' | 'lookup' | 'change',
  folder: string,
): Record<string, number> & { seconds: number } {
  const started = performance.now()
  // As a worker is started.
  const words = [foreignFunctionsFlag, measure, kind, folder]
  const { stdout, stderr, status } = spawnSync(process.execPath, words, { encoding: 'utf8' })
  const seconds = (performance.now() - started) / 1000
  if (status !== 0) throw new Error(stderr)
  return { ...(JSON.parse(stdout) as Record<string, number>), seconds }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

function row(
  name: string,
  times: readonly number[],
  own: readonly number[],
  bytes: number,
): string[] {
  if (times.length === 0) return [name, 'not installed', '', '', '']
  const ratios = times.map((seconds, index) => seconds / (own[index] ?? Number.NaN))
  return [
    name,
    median(times).toFixed(2),
    `${Math.min(...times).toFixed(2)}–${Math.max(...times).toFixed(2)}`,
    median(ratios).toFixed(2),
    (bytes / 2 ** 20).toFixed(0),
  ]
}

function compare(users: number, runs: number): void {
  const folder = mkdtempSync(join(values.dir, 'mailmux-bench-'))
  try {
    writeUsers(folder, users, Number(values.renamed))
    const own: Built[] = []
    const others = peers.map((): number[] => [])
    for (let number = 0; number < runs; number++) {
      own.push(run('build', folder) as unknown as Built)
      for (const [index, peer] of peers.entries()) {
        const seconds = peer.build(folder)
        if (seconds !== undefined) others[index]?.push(seconds)
      }
    }
    const times = own.map(({ seconds }) => seconds)
    const title = `${users} users, ${runs} runs, ${cpus().length} processors`
    const columns = ['build', 'seconds', 'range', '÷ mailmux', 'MiB'].map((name, index) => ({
      title: name,
      align: index === 0 ? ('left' as const) : ('right' as const),
    }))
    const rows = [
      row('mailmux', times, times, own.at(-1)?.bytes ?? 0),
      ...peers.map((peer, index) => row(peer.name, others[index] ?? [], times, peer.size(folder))),
    ]
    console.log(`\n${title}\n${formatTable(columns, rows).join('\n')}`)
    console.log(
      `peak memory of the build: ${median(own.map(({ peakMiB }) => peakMiB)).toFixed(0)} MiB`,
    )
    printLookups(folder)
    printChanges(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function millions(rate: number): string {
  return `${(rate / 1e6).toFixed(2)} M/s`
}

function printLookups(folder: string): void {
  const found = run('lookup', folder)
  const { openMs = 0, hits = 0, misses = 0, reads = 0, indexBytes = 0, heldBytes = 0 } = found
  console.log(`open and verify: ${openMs.toFixed(0)} ms`)
  console.log(`lookups in one process: ${millions(hits)} hit, ${millions(misses)} miss`)
  console.log(`bare reads of as much memory, at random: ${millions(reads)}`)
  console.log(
    `memory a user: index ${indexBytes.toFixed(1)} bytes, all ${heldBytes.toFixed(1)} bytes`,
  )
}

function milliseconds(times: readonly number[]): string {
  const range = `${Math.min(...times).toFixed(1)}–${Math.max(...times).toFixed(1)}`
  return `${median(times).toFixed(1)} ms (${range})`
}

function printChanges(folder: string): void {
  const { change, seen } = run('change', folder) as unknown as ChangeTimes
  console.log(`a durable change of one user: ${milliseconds(change)}`)
  console.log(`seen by another process after it returned: ${milliseconds(seen)}`)
  const { hits = 0, misses = 0 } = run('lookup', folder)
  console.log(
    `lookups with ${change.length} changes since the build: ${millions(hits)} hit, ${millions(misses)} miss`,
  )
}

for (const users of values.users.split(',')) compare(Number(users), Number(values.runs))
