/**
 * Cuts the power under a relay that takes mail into its spool, again and again, and looks after each cut
 * whether every message that was answered 250 is still there, whole. See docs/reliability.md.
 *
 *   node test/power-cut/run.ts KERNEL [--no-sync] [--seed N] [CUTS]
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as delay } from 'node:timers/promises'
import { Machine } from './machine.ts'

const { values, positionals } = parseArgs({
  options: { 'no-sync': { type: 'boolean', default: false }, seed: { type: 'string' } },
  allowPositionals: true,
})
const [kernel = '', cuts = '30'] = positionals
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const root = new URL('../..', import.meta.url).pathname
const patienceMs = 300_000
const perLife = 1_000_000
const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Park and Miller's: the same cuts for the same seed. */
let state = (seed % 2_147_483_646) + 1
function random(): number {
  state = (state * 48_271) % 2_147_483_647
  return state / 2_147_483_647
}

/** Not under /tmp, which is hidden inside of the machine by one of its own. */
mkdirSync(join(root, '.cache'), { recursive: true })
const folder = mkdtempSync(join(root, '.cache/power-cut-'))
const [stateDir, disk] = [join(folder, 'state'), join(folder, 'disk.img')]

function prepare(): string | undefined {
  mkdirSync(stateDir)
  mkdirSync(join(folder, 'built'))
  execFileSync('truncate', ['-s', '1G', disk])
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', disk])
  const config = (state: string): string => `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, smtp: 1}}
on_backend_down: spool
map: {rules: rules, database: ${join(folder, 'map.db')}}
listen: {smtp: ["127.0.0.1:0"]}
client_names: none
workers: 1
state_dir: ${state}
run_dir: /run/mailmux
`
  writeFileSync(join(folder, 'rules'), '* fritz\n')
  writeFileSync(join(folder, 'mailmux.yaml'), config(stateDir))
  const built = join(folder, 'build.yaml')
  writeFileSync(built, config(join(folder, 'built')))
  execFileSync(process.execPath, [join(root, 'bin/run.js'), 'build-map', '--config', built])
  if (!values['no-sync']) return undefined
  const library = join(folder, 'no-sync.so')
  const source = join(root, 'test/power-cut/no-sync.c')
  execFileSync('gcc', ['-shared', '-fPIC', '-o', library, source])
  return library
}

/** What a life of the machine has said. */
class Life {
  readonly acked = new Set<number>()
  readonly whole = new Set<number>()
  readonly faults: string[] = []
  /** What it said beside that. */
  readonly talk: string[] = []
  refused = 0
  temporary = 0
  hasCleared = false
  isChecked = false
  isReady = false
  #wake: () => void = () => undefined

  hear(line: string): void {
    const [word = '', rest = ''] = line.split(' ', 2)
    if (word === 'acked') this.acked.add(Number(rest))
    else if (word === 'whole') this.whole.add(Number(rest))
    else if (word === 'torn' || word === 'left') this.faults.push(line)
    else if (word === 'refused') this.refused++
    else if (word === 'found') this.temporary = Number(rest)
    else if (word === 'cleared') this.hasCleared = true
    else if (word === 'checked') this.isChecked = true
    else if (word === 'ready') this.isReady = true
    else this.talk.push(line)
    this.#wake()
  }

  async until(machine: Machine, isTrue: () => boolean): Promise<void> {
    const end = performance.now() + patienceMs
    while (!isTrue()) {
      if (machine.isOff) throw new Error(`the machine went off; it said: ${this.talk.join('; ')}`)
      if (performance.now() > end) throw new Error('the machine does not get on')
      await Promise.race([delay(1000), new Promise<void>((resolve) => (this.#wake = resolve))])
    }
  }
}

/** What was answered 250 and not yet taken out, over all lives. */
const owed = new Set<number>()
const total = { acked: 0, lost: 0, faults: 0, refused: 0, temporary: 0 }

/** Counts what the check of a life has found. */
function settle(life: Life): string {
  if (!life.isChecked) return 'cut before the check'
  const lost = [...owed].filter((number) => !life.whole.has(number))
  total.lost += lost.length
  total.refused += life.refused
  total.temporary += life.temporary
  for (const number of lost) owed.delete(number)
  const found = owed.size
  if (life.hasCleared) owed.clear()
  const names =
    lost.length === 0 ? '' : ` (${lost.slice(0, 5).join(', ')}${lost.length > 5 ? ', …' : ''})`
  return `found ${found} owed messages whole, ${lost.length} lost${names}`
}

async function live(number: number, library: string | undefined): Promise<void> {
  const isLast = number === Number(cuts)
  const life = new Life()
  const script = join(root, 'test/power-cut/guest.ts')
  const words = [join(folder, 'mailmux.yaml'), stateDir, `${(number + 1) * perLife}`]
  const command = [process.execPath, script, ...words, isLast ? 'CHECK' : 'ENDLESS']
  if (library !== undefined) command.push(library)
  const startedAt = performance.now()
  const machine = new Machine({ kernel, folder, disk, stateDir, command }, (line) =>
    life.hear(line),
  )
  running = machine
  try {
    if (isLast) await life.until(machine, () => life.isReady)
    // One in four at any moment of the start, the others under load.
    else if (random() < 0.25) await delay(random() * usualStartMs)
    else {
      await life.until(machine, () => life.acked.size > 0)
      usualStartMs = performance.now() - startedAt
      await delay(random() * 4000)
    }
  } finally {
    await machine.cutPower()
  }
  const word = settle(life)
  total.acked += life.acked.size
  total.faults += life.faults.length
  for (const acked of life.acked) owed.add(acked)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  say(
    `${number}: ${word}; ${isLast ? 'end' : `${life.acked.size} taken until the cut`} (${seconds} s)`,
  )
  for (const fault of life.faults) say(`  ${fault}`)
}

let usualStartMs = 8000
let running: Machine | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    running?.kill()
    rmSync(folder, { recursive: true, force: true })
    process.exit(130)
  })
}
try {
  say(`seed ${seed}, ${cuts} cuts${values['no-sync'] ? ', without any sync' : ''}`)
  const library = prepare()
  for (let number = 0; number <= Number(cuts); number++) await live(number, library)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const { acked, lost, faults, refused, temporary } = total
say(
  `${acked} messages answered 250, ${lost} lost; ${faults} torn or left behind; ` +
    `${temporary} temporary files met, ${refused} files refused by the spool`,
)
if (values['no-sync']) {
  say(lost > 0 ? 'without a sync mail is lost, as it should be' : 'the rig does not tell')
  process.exitCode = lost > 0 ? 0 : 1
} else process.exitCode = lost + faults > 0 ? 1 : 0
