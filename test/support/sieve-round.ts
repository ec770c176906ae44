/** A whole round of ManageSieve, as a client that does not wait for answers has it. */
import type { ConnectionOptions } from 'node:tls'
import { Peer } from './peer.ts'

/** Some hundred KiB: more than any buffer on the way holds. */
export const bigScript = `require "fileinto";\r\n${'# {12+}\r\n'.repeat(30_000)}keep;\r\n`

function literal(text: string): string {
  return `{${text.length}+}\r\n${text}`
}

export function plainLogin(user: string, password: string): string {
  const message = Buffer.from(`\0${user}\0${password}`).toString('base64')
  return `AUTHENTICATE "PLAIN" ${literal(message)}\r\n`
}

/** Leaves things as they were before it, so that it can be had again. */
const commands = [
  'CAPABILITY',
  'HAVESPACE "big" 400000',
  `PUTSCRIPT "big" ${literal(bigScript)}`,
  `PUTSCRIPT "b\\"ad" ${literal('this is no\r\nscript;\r\n')}`,
  'LISTSCRIPTS',
  'SETACTIVE "big"',
  'LISTSCRIPTS',
  'GETSCRIPT "big"',
  'GETSCRIPT "none"',
  'DELETESCRIPT "big"',
  'SETACTIVE ""',
  'DELETESCRIPT "big"',
  'LISTSCRIPTS',
  'LOGOUT',
]

export interface RoundOptions {
  readonly user: string
  readonly password: string
  /** STARTTLS first. */
  readonly tls?: ConnectionOptions
}

/** What the server says from after the login on, up to its end. */
export async function sieveRound(port: number, options: RoundOptions): Promise<string> {
  const greeting = /^(?:".*\r\n)+OK.*\r\n/
  using peer = await Peer.connect(port)
  await peer.expect(greeting)
  if (options.tls !== undefined) {
    peer.send('STARTTLS\r\n')
    await peer.expect(/^OK.*\r\n/)
    await peer.startTls(options.tls)
    await peer.expect(greeting)
  }
  peer.send(plainLogin(options.user, options.password))
  // Cyrus loses what comes along with the login.
  await peer.expect(/^OK.*\r\n/)
  peer.send(commands.map((command) => `${command}\r\n`).join(''))
  return await peer.end()
}

/** A client that is logged in to the server at that port. */
export async function sieveOf(port: number, user: string, password: string): Promise<Peer> {
  const peer = await Peer.connect(port)
  await peer.expect(/^(?:".*\r\n)+OK.*\r\n/)
  peer.send(plainLogin(user, password))
  await peer.expect(/^OK.*\r\n/)
  return peer
}
