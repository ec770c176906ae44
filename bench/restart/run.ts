/**
 * Restarts under load: mail by the relay as fast as it goes, logins without an end, and sessions that
 * stay, while all workers are replaced again and again. A test as much as a measurement: ends with 1
 * where a client finds nobody, a session is lost before its time, or a message is lost or there twice.
 * `node bench/restart/run.ts [RESTARTS [SESSIONS]]`.
 */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { balance, isBalanced } from '../ledger/account.ts'
import { backends as roles } from '../ledger/cast.ts'
import { Senders } from '../ledger/sender.ts'
import {
  command,
  emptySpool,
  freePort,
  keptUnlessGood,
  layOut,
  Life,
  RecordingBackend,
  restart,
  type SiteOptions,
} from '../ledger/site.ts'
import { holdSessions, loading, openRig } from '../rig/rig.ts'

const restarts = Number(process.argv[2] ?? 100)
const sessions = Number(process.argv[3] ?? 2000)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

await using rig = await openRig()
/** On the disk of the checkout: /tmp may be memory. */
const folder = mkdtempSync(join(process.cwd(), 'tmp-ledger-'))
const imap = { port: rig.proxy.imap, backendPort: rig.backend.imap, users: 1000 }
const site: SiteOptions = {
  folder,
  ports: { smtp: await freePort(), lmtp: await freePort() },
  backendPorts: await Promise.all(roles.map(() => freePort())),
  imap,
}
const uncertain = { relay: 0, queue: 0 }

function sessionCount(): number {
  const { services } = JSON.parse(command(site, 'status', '--json')) as {
    services: { service: string; sessions: number }[]
  }
  return services.find(({ service }) => service === 'imap')?.sessions ?? 0
}

/** Logs in and out until it is told to stop; returns how often. Throws where one fails. */
async function logInUntil(isOver: () => boolean): Promise<number> {
  let sum = 0
  while (!isOver()) {
    const to = ['-P', 'imap', '-p', `${imap.port}`, '-c', '4', '-n', '2000']
    const { done = 0 } = await loading(['login', ...to])
    sum += done
  }
  return sum
}

async function main(): Promise<boolean> {
  layOut(site)
  const backends = roles.map(
    (role, at) => new RecordingBackend(role, site.backendPorts[at] ?? 0, folder),
  )
  let life: Life | undefined
  try {
    life = await Life.begin(site, (line, of) => {
      if (line.event === 'uncertain') uncertain[of.isQueue(line['worker']) ? 'queue' : 'relay']++
      if (line.event === 'internal') say(JSON.stringify(line))
    })
    const senders = new Senders({ count: Infinity, seed: 1, ports: site.ports, senders: 8 })
    const idle = ['idle', '-P', 'imap', '-p', `${imap.port}`, '-c', '50', '-n', `${sessions}`]
    let isOver = false
    let logins = 0
    let held = 0
    let seconds = 0
    await holdSessions([...idle, '-e', '3600'], async () => {
      const sending = senders.run()
      const loggingIn = logInUntil(() => isOver)
      const startedAt = performance.now()
      // Those that are there now stay until the end; later ones have two seconds.
      for (let number = 0; number < restarts; number++) {
        if (!(await restart(site, number === 0 ? '2h' : '2s'))) throw new Error('not restarted')
      }
      seconds = (performance.now() - startedAt) / 1000
      isOver = true
      logins = await loggingIn
      senders.stop()
      await sending
      held = sessionCount()
    })
    await emptySpool(site)
    life.signal('SIGTERM')
    await life.exited
    const result = balance(senders.tasks, backends, { uncertain, kills: [] })
    const { losses, strays, unheardCopies, refusedCopies, repeatedCopies } = result
    say(`${restarts} restarts in ${seconds.toFixed(0)} s, of two workers and the queue`)
    say(`  ${held} of ${sessions} sessions from before the first are there`)
    say(`  ${logins} logins, none failed`)
    const rate = (senders.done / seconds).toFixed(0)
    say(`  ${senders.done} messages (${rate} a second), ${senders.unwelcome} connections in vain`)
    say(`  lost ${losses.length}, astray ${strays.length}, put off and there ${refusedCopies}`)
    say(`  without a reply and there ${unheardCopies}, twice by the queue ${repeatedCopies}`)
    return (
      isBalanced(result) &&
      held === sessions &&
      senders.unwelcome + unheardCopies + repeatedCopies === 0
    )
  } finally {
    life?.signal('SIGKILL')
    for (const backend of backends) backend.signal('SIGKILL')
  }
}

process.exitCode = (await keptUnlessGood(folder, main)) ? 0 : 1
