/** Files of a Maildir++ as its Dovecot keeps them, for messages that no client could put there. */
import { chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

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
