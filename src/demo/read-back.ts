/** Reads the sample messages through both proxies. */
import { MailmuxError } from '../base/error.ts'
import type { Narrator } from './narrator.ts'
import { readByImap, readByPop3, type StoredMessage } from './read-mailbox.ts'
import { type FrontEndPorts, password } from './sources.ts'

/** One mailbox as its user saw it through the front end. */
export interface ReadBack {
  readonly login: string
  readonly protocol: 'imap' | 'pop3'
  readonly messages: readonly StoredMessage[]
}

const readers = [
  { login: 'ann', protocol: 'imap', read: readByImap },
  { login: 'bob', protocol: 'imap', read: readByImap },
  { login: 'carl', protocol: 'pop3', read: readByPop3 },
  { login: 'zoe', protocol: 'pop3', read: readByPop3 },
] as const

/** Throws DEMO_FAILED where a login is refused or a mailbox has another number of messages than one. */
export async function readBack(
  ports: FrontEndPorts,
  narrator: Narrator,
): Promise<readonly ReadBack[]> {
  narrator.chapter('Users log in at the same front end, by name only')
  const all = await Promise.all(
    readers.map(async ({ login, protocol, read }) => {
      const messages = await read(ports[protocol], { login, password })
      return { login, protocol, messages }
    }),
  )
  narrator.table(
    all.flatMap(({ login, protocol, messages }) =>
      messages.map(({ subject, storedBy }) => [
        protocol,
        login,
        `"${subject}"`,
        `from ${storedBy}`,
      ]),
    ),
  )
  for (const { login, messages } of all) {
    if (messages.length === 1) continue
    throw new MailmuxError('DEMO_FAILED', `${login} sees ${messages.length} messages, not one`)
  }
  narrator.say('No user had to know which back-end has the mailbox.')
  return all
}
