/** Files of a Maildir++ as its Dovecot keeps them, for messages that no client could put there. */
import { chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const alike = 'From: a@x\nSubject: twice\n\nx\n'
/** By what is odd about them; the first is nothing at all, which no client can put anywhere. */
export const oddMessages: Readonly<Record<string, string>> = {
  'no octets': '',
  'NUL in it': 'From: a@x\n\na\0b\0\n',
  'bare line feeds': 'From: a@x\nSubject: x\n\na\n\nb\n',
  'line ends of both kinds': 'From: a@x\r\nSubject: x\n\na\r\nb\n',
  'bare carriage returns': 'From: a@x\r\n\r\na\rb\rc\r\n',
  '8-bit header': 'From: \xe4 <a@x>\nSubject: \xff\xfe\n\nx\n',
  'no header': '\nx\n',
  'no Message-Id': 'From: a@x\n\nx\n',
  'no end of line': 'From: a@x\n\nx',
  'alike, the one': alike,
  'alike, the other': alike,
}

/** `folder`: as Maildir++ calls it, such as `.work`; it is made where there is none. */
export function putMaildirFiles(
  mailbox: string,
  folder: string,
  messages: readonly (string | Buffer)[],
): void {
  const { uid, gid } = statSync(dirname(mailbox))
  const own = (path: string): void => chownSync(path, uid, gid)
  for (const path of [mailbox, join(mailbox, folder)]) {
    for (const name of ['', 'new', 'tmp', 'cur']) {
      const made = mkdirSync(join(path, name), { recursive: true })
      if (made !== undefined) own(join(path, name))
    }
  }
  for (const [index, message] of messages.entries()) {
    const octets = typeof message === 'string' ? Buffer.from(message, 'latin1') : message
    const at = 1_000_000_000 + index
    const path = join(mailbox, folder, 'cur', `${at}.M1P1.test:2,S`)
    writeFileSync(path, octets)
    own(path)
  }
}

/** What files of a folder hold, in the order of their names. */
export function maildirFiles(mailbox: string, folder: string): { path: string; octets: Buffer }[] {
  return ['cur', 'new'].flatMap((name) =>
    readdirSync(join(mailbox, folder, name))
      .sort()
      .map((file) => join(mailbox, folder, name, file))
      .map((path) => ({ path, octets: readFileSync(path) })),
  )
}
