/**
 * Sessions whose client vanishes: it lives in a network of its own, whose link goes down. Linux, root
 * and `ip` wanted. When the daemon gives them up, and with them their back-end.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { openRig } from '../rig/rig.ts'
import { startJudging } from './back-end.ts'
import { Site } from './site.ts'

const sessions = 20
const mostMs = 600_000
const acknowledgedMs = 2_000

const ip = (...words: string[]): void => void execFileSync('ip', words, { stdio: 'inherit' })

/** Logs in so often, says so, and then says nothing more. */
const clientProgram = `
const { connect } = require('node:net')
const [port, host, count] = process.argv.slice(1)
let left = Number(count)
for (let number = 0; number < Number(count); number++) {
  const socket = connect(Number(port), host)
  socket.setEncoding('latin1').once('data', () => {
    socket.write('a LOGIN user' + number + '@example.com secret\\r\\n')
    socket.on('data', (text) => { if (text.startsWith('a OK') && --left === 0) console.log('all') })
  })
}
`

interface Network extends Disposable {
  /** Of this side. */
  readonly host: string
  readonly name: string
  cut(): void
}

function makeNetwork(): Network {
  const name = `mailmux-${process.pid}`
  const [here, there] = [`mmx${process.pid % 10_000}a`, `mmx${process.pid % 10_000}b`]
  ip('netns', 'add', name)
  ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name)
  ip('addr', 'add', '10.199.77.1/30', 'dev', here)
  ip('link', 'set', here, 'up')
  ip('-n', name, 'addr', 'add', '10.199.77.2/30', 'dev', there)
  ip('-n', name, 'link', 'set', there, 'up')
  return {
    host: '10.199.77.1',
    name,
    cut: () => ip('-n', name, 'link', 'set', there, 'down'),
    [Symbol.dispose]: () => ip('netns', 'delete', name),
  }
}

export async function measureVanished(say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  using judging = await startJudging()
  using network = makeNetwork()
  await using site = await Site.start(rig, { imapPort: judging.port, host: network.host })
  const inside = ['netns', 'exec', network.name, process.execPath, '-e', clientProgram]
  const client = spawn('ip', [...inside, `${site.ports.imap}`, network.host, `${sessions}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [said] = (await once(createInterface({ input: client.stdout }), 'line')) as [string]
    if (said !== 'all') throw new Error(said)
    const count = async (): Promise<number> => {
      const { services } = await site.status()
      return services.find(({ service }) => service === 'imap')?.sessions ?? 0
    }
    if ((await count()) !== sessions) throw new Error('not all are logged in')
    // What it was told last it has acknowledged: else the kernel tells it again for a quarter of an hour.
    await delay(acknowledgedMs)
    network.cut()
    const cutAt = performance.now()
    const age = (): string => ((performance.now() - cutAt) / 1000).toFixed(0)
    const gone: string[] = []
    for (let left = sessions; left > 0 && performance.now() - cutAt < mostMs; await delay(1000)) {
      const now = await count()
      if (now < left) gone.push(`${left - now} after ${age()} s`)
      left = now
    }
    say(`${sessions} idle sessions whose client vanishes`)
    say(`  gone: ${gone.join(', ')}; left: ${await count()}`)
    say(`  connections to the back-end: ${judging.sockets.size}`)
  } finally {
    client.kill('SIGKILL')
  }
}
