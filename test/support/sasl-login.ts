/** Both ends of a login by SASL at a proxy: what IMAP and POP3 have of their own is in `saslWords`. */
import type { Peer } from './peer.ts'
import { type ScramName, ScramServer } from './scram.ts'

export const saslServices = ['imap', 'pop3'] as const
export type SaslService = (typeof saslServices)[number]

export function base64(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('base64')
}

export function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('latin1')
}

export const saslWords = {
  imap: {
    start: (mechanism: string, first: string) => `a AUTHENTICATE ${mechanism} ${base64(first)}\r\n`,
    plain: (login: string, password: string) => `b LOGIN ${login} ${password}\r\n`,
    accepted: /^[ab] OK .*\r\n/,
    refused: /^[ab] NO \[AUTHENTICATIONFAILED\] .*\r\n/,
    unavailable: /^[ab] NO \[UNAVAILABLE\] .*\r\n/,
    greeting:
      '* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=OAUTHBEARER AUTH=XOAUTH2] hi\r\n',
    asked: /^L AUTHENTICATE (\S+)\r\n/,
    ok: 'L OK [CAPABILITY IMAP4rev1 IDLE] In\r\n',
    no: 'L NO [AUTHENTICATIONFAILED] no\r\n',
  },
  pop3: {
    start: (mechanism: string, first: string) => `AUTH ${mechanism} ${base64(first)}\r\n`,
    plain: (login: string, password: string) => `USER ${login}\r\nPASS ${password}\r\n`,
    accepted: /^(?:\+OK\r\n)?\+OK.+\r\n/,
    refused: /^-ERR \[AUTH\] .*\r\n/,
    unavailable: /^-ERR \[SYS\/TEMP\] .*\r\n/,
    greeting: '+OK hi\r\n',
    asked: /^AUTH (\S+)\r\n/,
    ok: '+OK In\r\n',
    no: '-ERR [AUTH] no\r\n',
  },
} as const

/** The next challenge that a client is sent, as octets. */
export async function challenge(client: Peer): Promise<string> {
  const [, encoded = ''] = await client.expect(/^\+ (.*)\r\n/)
  return fromBase64(encoded)
}

/** Greets, and takes the first message of an exchange. */
export async function hearFirst(peer: Peer, service: SaslService): Promise<string> {
  const words = saslWords[service]
  peer.send(words.greeting)
  await peer.expect(words.asked)
  peer.send('+ \r\n')
  return fromBase64(await peer.line())
}

/** The whole of SCRAM at a back-end that knows the password; true where the client knew it, too. */
export async function serveScram(
  peer: Peer,
  service: SaslService,
  [mechanism, password]: readonly [ScramName, string],
): Promise<boolean> {
  const words = saslWords[service]
  const server = new ScramServer(mechanism, password)
  peer.send(`+ ${base64(server.answer(await hearFirst(peer, service)))}\r\n`)
  const last = server.finish(fromBase64(await peer.line()))
  if (last === undefined) {
    peer.send(words.no)
    return false
  }
  peer.send(`+ ${base64(last)}\r\n`)
  await peer.expect(/^\r\n/)
  peer.send(words.ok)
  return true
}
