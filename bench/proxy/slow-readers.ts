/**
 * Clients that ask for much and read nothing of it, and what others notice: the time of a login, and
 * of a NOOP within a session, one after the other, before they came and beside them. No peer.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { loading, openRig, stop, useOf } from '../rig/rig.ts'
import { startMailmux } from './targets.ts'

const readers = 500
/** Of 1 MiB, asked for at once by each. */
const messages = 8
/** Until all buffers on the way are full. */
const fullMs = 5_000

async function askAndStop(port: number, number: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  await once(socket, 'data')
  let answer = ''
  const take = (text: string): void => void (answer += text)
  socket.on('data', take)
  socket.write(`a LOGIN user${number}@example.com secret\r\n`)
  while (!answer.includes('a OK')) await once(socket, 'data')
  socket.off('data', take).pause()
  socket.write('f FETCH 1024 BODY.PEEK[]\r\n'.repeat(messages))
  return socket
}

export async function measureSlowReaders(say: (line: string) => void): Promise<void> {
  await using rig = await openRig()
  const child = await startMailmux(rig, 1)
  const to = ['-P', 'imap', '-p', `${rig.proxy.imap}`, '-c', '1', '-n', '5000']
  const times = async (mode: 'login' | 'noop'): Promise<string> => {
    const { p50_us: p50 = 0, p99_us: p99 = 0 } = await loading([mode, ...to])
    return `p50 ${p50} µs, p99 ${p99} µs`
  }
  const tell = async (when: string): Promise<void> => {
    say(`  ${when}: login ${await times('login')}; NOOP ${await times('noop')}`)
  }
  try {
    for (let round = 0; round < 4; round++) await times('login')
    say(`${readers} clients that read nothing of ${messages} MiB that they asked for`)
    await tell('before')
    const before = useOf(child.pid ?? 0).pss_kb
    const sockets: Socket[] = []
    for (let number = 0; number < readers; number++) {
      sockets.push(await askAndStop(rig.proxy.imap, number))
    }
    await delay(fullMs)
    await tell('beside')
    const each = (useOf(child.pid ?? 0).pss_kb - before) / readers
    say(`  memory: ${each.toFixed(0)} KiB for each of them (PSS, of which the kernel's is no part)`)
    for (const socket of sockets) socket.destroy()
  } finally {
    await stop(child)
  }
}
