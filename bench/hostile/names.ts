/** TLS clients that each ask for another name, none of which anybody has. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { openRig } from '../rig/rig.ts'
import { Site } from './site.ts'

const atOnce = 50
/** Of those that come before memory is compared: a daemon runs for months. */
const warmShare = 0.1

/** With its length before it, in so many octets. */
function sized(octets: 1 | 2 | 3, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length = Buffer.alloc(octets)
  length.writeUIntBE(body.length, 0, octets)
  return Buffer.concat([length, body])
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 0xff]), sized(2, body)])
}

/** RFC 8446 section 4.1.2, RFC 6066 section 3. */
function helloFor(name: string): Buffer {
  const group = Buffer.from('001d', 'hex')
  const extensions = [
    extension(0, sized(2, Buffer.from([0]), sized(2, Buffer.from(name, 'latin1')))),
    extension(10, sized(2, group)),
    extension(13, sized(2, Buffer.from('04030804', 'hex'))),
    extension(43, sized(1, Buffer.from('0304', 'hex'))),
    extension(51, sized(2, group, sized(2, randomBytes(32)))),
  ]
  const body = [
    Buffer.from('0303', 'hex'),
    randomBytes(32),
    sized(1, randomBytes(32)),
    sized(2, Buffer.from('13011302', 'hex')),
    sized(1, Buffer.from([0])),
    sized(2, ...extensions),
  ]
  const message = Buffer.concat([Buffer.from([1]), sized(3, ...body)])
  return Buffer.concat([Buffer.from('160301', 'hex'), sized(2, message)])
}

/** Of all lengths that a name may have, and a little beyond. */
function nameOf(number: number): string {
  return `${number.toString(36)}.${'x'.repeat(number % 260)}`
}

/** Returns at the first octets of the handshake. */
async function ask(port: number, number: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.4.0.${1 + (number % 200)}` })
  socket.on('error', () => undefined)
  socket.write(helloFor(nameOf(number)))
  let isAnswered = false
  socket.once('data', (bytes: Buffer) => {
    isAnswered = bytes[0] === 0x16
    socket.resetAndDestroy()
  })
  await once(socket, 'close')
  return isAnswered
}

export async function measureNames(count: number, say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  await using site = await Site.start(rig)
  const numbers = Array(count).keys()
  const mib: number[] = []
  let answered = 0
  const work = async (): Promise<void> => {
    for (const number of numbers) {
      if (await ask(site.ports.imaps, number)) answered++
      if (number % Math.ceil(count * warmShare) === 0) mib.push(site.residentMib)
    }
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: atOnce }, work))
  mib.push(site.residentMib)
  const seconds = (performance.now() - startedAt) / 1000
  say(`${count} TLS clients, each asks for another name; ${seconds.toFixed(0)} s`)
  say(`  handshakes that went on: ${answered}; refused: ${JSON.stringify(await site.refused())}`)
  say(`  worker, MiB, at each tenth: ${mib.map((size) => size.toFixed(0)).join(' ')}`)
  say(`  workers that ended: ${site.count('worker.exited')}; internal: ${site.count('internal')}`)
}
