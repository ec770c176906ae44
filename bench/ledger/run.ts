/**
 * The ledger test of the relay: real processes, random kills of each, and at the end the accounts.
 * `node bench/ledger/run.ts [MESSAGES [SEED]]`; ends with 1 where a message is lost, turns up where it
 * should not, or more than once without anybody having said so.
 */
import { createWriteStream, mkdtempSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Balance, balance, isBalanced } from './account.ts'
import { backends as roles } from './cast.ts'
import { randomOf } from '../../test/support/random.ts'
import { Faults } from './faults.ts'
import { Senders } from './sender.ts'
import {
  emptySpool,
  freePort,
  inSpool,
  keptUnlessGood,
  layOut,
  Life,
  type Logged,
  RecordingBackend,
  type SiteOptions,
} from './site.ts'

const count = Number(process.argv[2] ?? 100_000)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
const senders = 24
/** Beyond what messages need at a hundredth of the usual speed. */
const patienceMs = 120_000 + count * 20

const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** On the disk of the checkout: /tmp may be memory. */
const folder = mkdtempSync(join(process.cwd(), 'tmp-ledger-'))
const site: SiteOptions = {
  folder,
  ports: { smtp: await freePort(), lmtp: await freePort() },
  backendPorts: await Promise.all(roles.map(() => freePort())),
}
const spool = join(folder, 'state', 'spool')
const uncertain = { relay: 0, queue: 0 }
const events = new Map<string, number>()

const log = createWriteStream(join(folder, 'log'))

function hear(line: Logged, life: Life): void {
  log.write(`${JSON.stringify(line)}\n`)
  const kind = line.event === 'internal' ? `internal ${String(line['reason'])}` : line.event
  events.set(kind, (events.get(kind) ?? 0) + 1)
  if (line.event === 'uncertain') uncertain[life.isQueue(line['worker']) ? 'queue' : 'relay']++
  if (line.event === 'internal' || line.event === 'spool.quarantined') say(JSON.stringify(line))
}

/** Ends the daemon in good order, and lets another one look for what was left lying about. */
async function lookOnceMore(life: Life): Promise<void> {
  life.signal('SIGTERM')
  await life.exited
  const last = await Life.begin(site, hear)
  await last.first('spool.ready')
  last.signal('SIGTERM')
  await last.exited
}

function report(result: Balance, faults: Faults, seconds: number): boolean {
  const { promises, copies, losses, strays, refusedCopies, unheardCopies, repeatedCopies } = result
  const kills = Map.groupBy(faults.kills, ({ victim }) => victim)
  const killed = [...kills].map(([victim, all]) => `${victim} ${all.length}`).join(', ')
  const names = [...events].map(([name, number]) => `${name} ${number}`).sort()
  const rest = [...inSpool(site), ...readdirSync(join(spool, 'quarantine'))]
  say(`seed ${seed}: ${count} messages in ${seconds.toFixed(0)} s; killed or held: ${killed}`)
  say(`events: ${names.join(', ')}`)
  say(`promised deliveries ${promises}, copies ${copies}`)
  say(
    `lost ${losses.length}${losses
      .slice(0, 20)
      .map((one) => `\n  ${one}`)
      .join('')}`,
  )
  say(
    `astray ${strays.length}${strays
      .slice(0, 20)
      .map((one) => `\n  ${one}`)
      .join('')}`,
  )
  say(`copies of messages that were answered 4xx: ${refusedCopies}`)
  say(`  said uncertain by the relay: ${uncertain.relay}; log not written out: ${result.unlogged}`)
  say(`copies of messages whose sender heard no reply: ${unheardCopies}`)
  say(`copies that the queue made twice: ${repeatedCopies}`)
  say(`  said uncertain by the queue: ${uncertain.queue}`)
  say(`left in the spool: ${rest.length === 0 ? 'nothing' : rest.join(' ')}`)
  return isBalanced(result) && rest.length === 0
}

async function main(): Promise<boolean> {
  const random = randomOf(seed + 1)
  layOut(site)
  const backends = roles.map(
    (role, at) => new RecordingBackend(role, site.backendPorts[at] ?? 0, folder),
  )
  let faults: Faults | undefined
  try {
    const life = await Life.begin(site, hear)
    faults = new Faults(site, { backends, random, life, heard: hear })
    const all = new Senders({ count, seed, ports: site.ports, senders, leavesShare: 0.001 })
    const startedAt = performance.now()
    const raging = faults.run()
    const timer = setTimeout(() => all.stop(), patienceMs)
    await all.run()
    clearTimeout(timer)
    faults.stop()
    await raging
    const seconds = (performance.now() - startedAt) / 1000
    await emptySpool(site)
    await lookOnceMore(faults.life)
    const isGood = report(
      balance(all.tasks, backends, { uncertain, kills: faults.kills }),
      faults,
      seconds,
    )
    if (all.refused.length > 0) say(`refused for good: ${all.refused.slice(0, 20).join('; ')}`)
    if (!all.isDone) say(`not all was sent: ${all.done} of ${count}`)
    return isGood && all.isDone && all.refused.length === 0
  } finally {
    faults?.life.signal('SIGKILL')
    for (const backend of backends) backend.signal('SIGKILL')
  }
}

process.exitCode = (await keptUnlessGood(folder, main)) ? 0 : 1
