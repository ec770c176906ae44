/** What the command line and a file of credentials say of a source that is no back-end of ours. */
import type { OutsideSecret } from '../backend/outside-door.ts'
import { MailmuxError } from '../base/error.ts'
import type { Endpoint } from '../config/config.ts'
import { type Naming, parseAddress } from '../mail/address.ts'
import type { MigratingUser } from './select-users.ts'

/** `imaps://host[:port]`, or `imap://host[:port]` for STARTTLS. Throws USAGE. */
export function parseSource(text: string): Endpoint {
  const url = URL.parse(text)
  const isBare = url !== null && url.username + url.password + url.search + url.hash === ''
  const isImap = url?.protocol === 'imaps:' || url?.protocol === 'imap:'
  if (url === null || !isBare || !isImap || url.hostname === '' || !/^\/?$/.test(url.pathname)) {
    throw new MailmuxError('USAGE', `--source ${text}: write imaps://host, or imap://host`)
  }
  const isImplicit = url.protocol === 'imaps:'
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isImplicit ? 993 : 143) : Number(url.port),
    tls: isImplicit ? 'implicit' : 'starttls',
  }
}

export interface OutsideUsers {
  readonly users: readonly MigratingUser[]
  /** By login. */
  readonly secrets: ReadonlyMap<string, OutsideSecret>
}

/**
 * A user a line: `USER LOGIN password SECRET`, or `token` in place of `password`; the rest of the
 * line is the secret. Throws USER_UNKNOWN; nothing of a line is told, since a secret may be anywhere.
 */
export function readCredentials(text: string, file: string, naming: Naming): OutsideUsers {
  const users: MigratingUser[] = []
  const secrets = new Map<string, OutsideSecret>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, name = '', login = '', kind, secret = ''] =
      /^\s*(\S+)\s+(\S+)\s+(password|token)\s(.+)$/.exec(line) ?? []
    const user = parseAddress(name, naming)
    if (user === undefined || kind === undefined) {
      const what = 'write USER LOGIN password SECRET, or USER LOGIN token SECRET'
      throw new MailmuxError('USER_UNKNOWN', `${file}:${index + 1}: ${what}`)
    }
    users.push({ user: user.key, sourceLogin: login, targetLogin: user.key })
    secrets.set(login, { kind: kind === 'token' ? 'token' : 'password', secret })
  }
  if (users.length === 0) throw new MailmuxError('USER_UNKNOWN', `${file}: nobody is named`)
  return { users, secrets }
}
