/** Both ends of a login by SASL at a proxy: what protocols have of their own is in `saslWords`. */
import assert from 'node:assert/strict'
import type { Peer } from './peer.ts'
import { type ScramName, ScramServer } from './scram.ts'

export const saslServices = ['imap', 'pop3', 'sieve', 'submission'] as const
export type SaslService = (typeof saslServices)[number]

export function base64(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('base64')
}

export function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('latin1')
}

export const saslWords = {
  imap: {
    begin: (mechanism: string) => `a AUTHENTICATE ${mechanism}\r\n`,
    start: (mechanism: string, first: string) => `a AUTHENTICATE ${mechanism} ${base64(first)}\r\n`,
    plain: (login: string, password: string) => `b LOGIN ${login} ${password}\r\n`,
    accepted: /^[ab] OK .*\r\n/,
    refused: /^[ab] NO \[AUTHENTICATIONFAILED\] .*\r\n/,
    unavailable: /^[ab] NO \[UNAVAILABLE\] .*\r\n/,
    greet: async (peer: Peer, names: string) => {
      const offered = names.split(' ').map((name) => `AUTH=${name}`)
      peer.send(`* OK [CAPABILITY IMAP4rev1 ${offered.join(' ')}] hi\r\n`)
    },
    asked: /^L AUTHENTICATE (\S+)\r\n/,
    cancelled: /^a BAD .*\r\n/,
    noop: 'c NOOP\r\n',
    done: /^c OK/,
    ok: 'L OK [CAPABILITY IMAP4rev1 IDLE] In\r\n',
    no: 'L NO [AUTHENTICATIONFAILED] no\r\n',
  },
  pop3: {
    begin: (mechanism: string) => `AUTH ${mechanism}\r\n`,
    start: (mechanism: string, first: string) => `AUTH ${mechanism} ${base64(first)}\r\n`,
    plain: (login: string, password: string) => `USER ${login}\r\nPASS ${password}\r\n`,
    accepted: /^(?:\+OK\r\n)?\+OK.+\r\n/,
    refused: /^-ERR \[AUTH\] .*\r\n/,
    unavailable: /^-ERR \[SYS\/TEMP\] .*\r\n/,
    greet: async (peer: Peer) => void peer.send('+OK hi\r\n'),
    asked: /^AUTH (\S+)\r\n/,
    cancelled: /^-ERR .*\r\n/,
    noop: 'NOOP\r\n',
    done: /^\+OK/,
    ok: '+OK In\r\n',
    no: '-ERR [AUTH] no\r\n',
  },
  sieve: {
    begin: (mechanism: string) => `AUTHENTICATE "${mechanism}"\r\n`,
    start: (mechanism: string, first: string) =>
      `AUTHENTICATE "${mechanism}" "${base64(first)}"\r\n`,
    plain: (login: string, password: string) =>
      `AUTHENTICATE "PLAIN" "${base64(`\0${login}\0${password}`)}"\r\n`,
    accepted: /^OK .*\r\n/,
    refused: /^NO "Authentication failed\."\r\n/,
    unavailable: /^NO \(TRYLATER\) .*\r\n/,
    greet: async (peer: Peer, names: string) => {
      peer.send(`"SASL" "${names}"\r\n"SIEVE" "fileinto"\r\nOK "hi"\r\n`)
    },
    asked: /^AUTHENTICATE "(\S+)" (?:"(\S*)"|\{\d+\+\}\r\n(\S*))\r\n/,
    cancelled: /^NO "Authentication cancelled\."\r\n/,
    noop: 'NOOP\r\n',
    done: /^OK/,
    ok: 'OK "In"\r\n',
    no: 'NO "no"\r\n',
  },
  submission: {
    begin: (mechanism: string) => `AUTH ${mechanism}\r\n`,
    start: (mechanism: string, first: string) => `AUTH ${mechanism} ${base64(first)}\r\n`,
    plain: (login: string, password: string) =>
      `AUTH PLAIN ${base64(`\0${login}\0${password}`)}\r\n`,
    accepted: /^235 .*\r\n/,
    refused: /^535 5\.7\.8 .*\r\n/,
    unavailable: /^454 4\.7\.0 .*\r\n/,
    greet: greetBySmtp,
    asked: /^AUTH (\S+)(?: (\S+))?\r\n/,
    cancelled: /^501 5\.7\.0 .*\r\n/,
    noop: 'NOOP\r\n',
    done: /^250/,
    ok: '235 2.7.0 In\r\n',
    no: '535 5.7.8 no\r\n',
  },
} as const

const allNames = 'SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2'

/** A back-end of submission, until a login may come. */
async function greetBySmtp(peer: Peer, names: string): Promise<void> {
  peer.send('220 fritz ready\r\n')
  await peer.expect(/^EHLO .*\r\n/)
  peer.send(`250-fritz\r\n250-8BITMIME\r\n250 AUTH ${names}\r\n`)
}

/** A client's session up to where it may log in. */
export async function greeted(client: Peer, service: SaslService): Promise<Peer> {
  await client.expect(service === 'sieve' ? /^(?:".*\r\n)+OK .*\r\n/ : /^.*\r\n/)
  if (service !== 'submission') return client
  client.send('EHLO mail.example.net\r\n')
  await client.expect(/^(?:250-.*\r\n)*250 .*\r\n/)
  return client
}

const prompts = { imap: '+', pop3: '+', submission: '334' } as const

/** What a server writes where its client is to answer `text`. */
export function question(service: SaslService, text: string): string {
  return service === 'sieve' ? `"${text}"\r\n` : `${prompts[service]} ${text}\r\n`
}

/** Octets of an exchange as a server says them. */
export function said(service: SaslService, octets: string): string {
  return question(service, base64(octets))
}

export function isQuestion(line: string): boolean {
  return /^(?:\+ |334 |")/.test(line)
}

/** What a client writes in an exchange. */
export function answer(service: SaslService, text: string): string {
  return service === 'sieve' ? `"${text}"\r\n` : `${text}\r\n`
}

/** The next message of the client to a back-end, as octets. */
export async function hear(peer: Peer, service: SaslService): Promise<string> {
  const form = service === 'sieve' ? /^(?:"(\S*)"|\{\d+\+\}\r\n(\S*))\r\n/ : /^(.*)\r\n/
  const [, ...texts] = await peer.expect(form)
  return fromBase64(texts.find((text) => text !== undefined) ?? '')
}

/** The next challenge that a client is sent, as octets. */
export async function challenge(client: Peer): Promise<string> {
  const [, ...texts] = await client.expect(/^(?:(?:\+|334) (.*)|"(.*)"|\{\d+\}\r\n(.*))\r\n/)
  return fromBase64(texts.find((text) => text !== undefined) ?? '')
}

/** Greets, and takes the first message of an exchange. */
export async function hearFirst(peer: Peer, service: SaslService): Promise<string> {
  return (await hearStart(peer, service)).first
}

/** The same with the name of the mechanism. */
export async function hearStart(
  peer: Peer,
  service: SaslService,
): Promise<{ readonly mechanism: string; readonly first: string }> {
  const { greet, asked } = saslWords[service]
  await greet(peer, allNames)
  const [, mechanism = '', ...texts] = await peer.expect(asked)
  const initial = texts.find((text) => text !== undefined)
  if (initial !== undefined) return { mechanism, first: fromBase64(initial) }
  peer.send(said(service, ''))
  return { mechanism, first: await hear(peer, service) }
}

/** The whole of SCRAM at a back-end that knows the password; true where the client knew it, too. */
export async function serveScram(
  peer: Peer,
  service: SaslService,
  [mechanism, password]: readonly [ScramName, string],
): Promise<boolean> {
  const words = saslWords[service]
  const server = new ScramServer(mechanism, password)
  peer.send(said(service, server.answer(await hearFirst(peer, service))))
  const last = server.finish(await hear(peer, service))
  if (last === undefined) {
    peer.send(words.no)
    return false
  }
  peer.send(said(service, last))
  assert.equal(await hear(peer, service), '')
  peer.send(words.ok)
  return true
}
