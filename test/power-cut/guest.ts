/**
 * What runs inside of the machine that loses its power: looks at what the last life has left in the
 * spool, starts the daemon, and sends messages as long as it may. Says on the console, a line each:
 *
 *     whole N       message N is in the spool, every octet of it
 *     torn ID       the spool takes a file for a whole message that it is not
 *     refused ID    a file that the spool refuses to read
 *     cleared       all that was found whole has been taken out
 *     checked       that was all
 *     found N       how many temporary files there are
 *     left NAME     one is there although the daemon is ready, and its writer is not
 *     acked N       message N has been answered 250
 *
 * guest.ts CONFIG STATE_DIR FIRST_NUMBER ENDLESS|CHECK [PRELOADED_LIBRARY]
 */
import { spawn } from 'node:child_process'
import { readdirSync, unlinkSync, writeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { MessageFile, UnusableFile } from '../../src/spool/message-file.ts'
import { meaningOf, messagePath, spoolPlaces } from '../../src/spool/spool-places.ts'
import { realDisk } from '../../src/storage/disk.ts'
import { bootName, isAlive } from '../../src/storage/process-alive.ts'
import { numberedMessage, readNumbered } from './numbered-message.ts'

const [, , config = '', stateDir = '', first = '', mode = '', library] = process.argv
const places = spoolPlaces(stateDir)
const clearAbove = 2000
const connections = 8
const say = (line: string): void => void writeSync(1, `${line}\n`)

function namesInSpool(): string[] {
  try {
    return readdirSync(places.directory)
  } catch {
    return []
  }
}

async function checkSpool(): Promise<void> {
  const whole: string[] = []
  for (const name of namesInSpool()) {
    const meaning = meaningOf(name)
    if (meaning.kind !== 'message') continue
    const content = await contentOf(meaning.id)
    if (content === undefined) {
      say(`refused ${meaning.id}`)
      continue
    }
    const { number, isWhole } = readNumbered(content)
    say(isWhole ? `whole ${number}` : `torn ${meaning.id}`)
    if (isWhole) whole.push(meaning.id)
  }
  const temporary = namesInSpool().filter((name) => meaningOf(name).kind === 'temporary')
  if (temporary.length > 0) say(`found ${temporary.length}`)
  if (whole.length > clearAbove) {
    for (const id of whole) unlinkSync(messagePath(places, id))
    say('cleared')
  }
  say('checked')
}

/** As the spool itself reads it; undefined where it refuses to. */
async function contentOf(id: string): Promise<Buffer | undefined> {
  try {
    const file = await MessageFile.open(realDisk, messagePath(places, id), id, 0)
    try {
      const pieces: Buffer[] = []
      for await (const piece of file.content()) pieces.push(Buffer.from(piece))
      return Buffer.concat(pieces)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof UnusableFile) return undefined
    throw error
  }
}

/** The port of the relay, once the daemon and its spool are ready. */
function startDaemon(): Promise<number> {
  const bin = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
  const child = spawn(process.execPath, [bin, 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(library === undefined ? {} : { LD_PRELOAD: library }) },
  })
  const { promise, resolve } = Promise.withResolvers<number>()
  let port: number | undefined
  let isSpoolReady = false
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as { event: string; listeners?: string[] }
    if (event.event === 'daemon.ready')
      port = Number(/:(\d+)$/.exec(event.listeners?.[0] ?? '')?.[1])
    if (event.event === 'spool.ready') isSpoolReady = true
    if (port !== undefined && isSpoolReady) resolve(port)
  })
  child.on('exit', (code) => say(`the daemon has ended with ${code}`))
  return promise
}

function reportLeftovers(): void {
  for (const name of namesInSpool()) {
    const meaning = meaningOf(name)
    if (meaning.kind !== 'temporary') continue
    const isOfNow = meaning.boot === bootName() && isAlive(meaning.pid)
    if (!isOfNow) say(`left ${name}`)
  }
}

let next = Number(first)

/** One message after the other over one connection. */
async function send(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  const replies = repliesOf(socket)
  const hear = async (): Promise<string> => (await replies.next()).value ?? ''
  await hear()
  socket.write('EHLO guest.example.net\r\n')
  await hear()
  for (;;) {
    const number = next++
    socket.write(`MAIL FROM:<>\r\nRCPT TO:<user${number % 50}@example.com>\r\nDATA\r\n`)
    const answers = [await hear(), await hear(), await hear()]
    if (!answers[2]?.startsWith('354')) throw new Error(answers.join())
    socket.write(Buffer.concat([numberedMessage(number), Buffer.from('.\r\n')]))
    const verdict = await hear()
    if (verdict.startsWith('250')) say(`acked ${number}`)
    else say(`not taken: ${verdict}`)
  }
}

async function* repliesOf(socket: Socket): AsyncGenerator<string, void, undefined> {
  for await (const line of createInterface({ input: socket })) if (line[3] === ' ') yield line
}

await checkSpool()
const port = await startDaemon()
reportLeftovers()
say('ready')
if (mode === 'ENDLESS') await Promise.all(Array.from({ length: connections }, () => send(port)))
say(`leftover folder ${join(places.quarantine)}: ${readdirSync(places.quarantine).length}`)
