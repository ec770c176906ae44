/**
 * The sessions of a back-end that dies, and comes back without an answer for anybody: when their
 * clients hear of it, how many come to it at once, and what the others are told.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { waits as waitLimits } from '../../src/base/limit.ts'
import { openRig } from '../rig/rig.ts'
import { type Client, close, heard, openMany } from './client.ts'
import { Site } from './site.ts'

const sessions = 5_000
const logins = 50
/** A session in which nothing has passed for so long was only waiting. */
const quietMs = 3_000

async function logIn(client: Client, user: number): Promise<void> {
  client.socket.write(`a LOGIN user${user % 1000}@example.com secret\r\n`)
  if (!(await heard(client, /^a OK/m))) throw new Error(`no login: ${client.text}`)
  client.socket.write('b IDLE\r\n')
  await heard(client, /^\+ /m)
}

/** Until the kernel has closed all that the process had which listened there before. */
async function listen(server: Server, port: number): Promise<void> {
  for (;;) {
    const failed = once(server, 'error')
    server.listen(port, '127.0.0.1')
    const isUp = await Promise.race([
      once(server, 'listening').then(() => true),
      failed.then(() => false),
    ]).catch(() => false)
    if (isUp) return
    await delay(10)
  }
}

/** A back-end that takes connections and says nothing. */
async function standStill(port: number) {
  let [now, most] = [0, 0]
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    most = Math.max(most, ++now)
    socket.on('error', () => undefined).resume()
    socket.on('close', () => now--)
  })
  await listen(server, port)
  return {
    most: () => most,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

interface Answer {
  readonly text: string
  readonly waitedMs: number
}

/** Comes back at once, as a mail program does, and logs in. */
async function comeBack(port: number, user: number): Promise<Answer> {
  const [client] = await openMany(port, 1)
  if (client === undefined) throw new Error('nobody is there')
  const startedAt = performance.now()
  client.socket.write(`a LOGIN user${user % 1000}@example.com secret\r\n`)
  await heard(client, /^a .*\r\n/m)
  close([client])
  const [, text = ''] = /^a (.*)\r\n/m.exec(client.text) ?? []
  return { text, waitedMs: performance.now() - startedAt }
}

export async function measureHerd(say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  await using site = await Site.start(rig, { logins })
  const clients = await openMany(site.ports.imap, sessions)
  for (let first = 0; first < sessions; first += 100) {
    const some = clients.slice(first, first + 100)
    await Promise.all(some.map((client, index) => logIn(client, first + index)))
  }
  await delay(quietMs)
  process.kill(rig.backend.pid, 'SIGKILL')
  const diedAt = performance.now()
  using still = await standStill(rig.backend.imap)
  const told: number[] = []
  const answers = await Promise.all(
    clients.map(async ({ socket }, user) => {
      if (!socket.closed) await once(socket, 'close')
      told.push(performance.now() - diedAt)
      return comeBack(site.ports.imap, user)
    }),
  )
  report({ told, answers, most: still.most() }, say)
  say(`  workers that ended: ${site.count('worker.exited')}`)
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

interface Herd {
  /** When each heard of the end, in milliseconds after it. */
  readonly told: readonly number[]
  readonly answers: readonly Answer[]
  /** Connections of logins at the back-end at once. */
  readonly most: number
}

function report({ told, answers, most }: Herd, say: (line: string) => void): void {
  const bySecond = Map.groupBy(told, (ms) => Math.floor(ms / 1000))
  const perSecond = Math.max(...[...bySecond.values()].map(({ length }) => length))
  say(`${told.length} idle sessions whose back-end dies; logins: ${logins}`)
  say(
    `  told from ${seconds(Math.min(...told))} to ${seconds(Math.max(...told))} s after it,` +
      ` ${perSecond} in a second at most`,
  )
  say(`  of those who come back at most ${most} are at the back-end at once`)
  const crowded = answers.filter(({ text }) => text.startsWith('NO [UNAVAILABLE]'))
  const waits = crowded.map(({ waitedMs }) => waitedMs)
  const again = crowded.map(({ text }) => Number(/in (\d+) seconds/.exec(text)?.[1]))
  // Those who had a place have more time.
  const inVain = waits.filter((ms) => ms < waitLimits.backendTurnMs + 1000)
  say(
    `  ${crowded.length} were told to come again in ${Math.min(...again)} to ${Math.max(...again)} s,` +
      ` ${inVain.length} of them after ${seconds(Math.min(...inVain))} to ${seconds(Math.max(...inVain))} s`,
  )
}
