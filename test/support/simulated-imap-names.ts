/** How a simulated IMAP server writes the names of folders, and lists them. RFC 9051 section 6.3.9. */
import { decodeFolderName, encodeFolderName } from '../../src/mail/folder-name.ts'
import {
  type Folder,
  inbox,
  type Mailbox,
  type Path,
  pathKey,
  pathOfKey,
} from './simulated-mailbox.ts'

export interface Naming {
  readonly delimiter: string
  /** Of the personal namespace, such as `INBOX.`. */
  readonly prefix: string
}

export function wireName(path: Path, { delimiter, prefix }: Naming): string {
  const isInbox = path.length === 1 && path[0] === inbox
  return isInbox ? inbox : encodeFolderName(prefix + path.join(delimiter))
}

/** Undefined where it is the name of no folder of the user's own. */
export function pathOfWire(wire: string, { delimiter, prefix }: Naming): Path | undefined {
  if (wire.toUpperCase() === inbox) return [inbox]
  const name = decodeFolderName(wire)
  if (name === undefined || !name.startsWith(prefix)) return undefined
  const path = name.slice(prefix.length).split(delimiter)
  return path.includes('') ? undefined : path
}

export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

export interface Listed {
  readonly path: Path
  readonly wire: string
  /** Undefined of a name that only others are below of. */
  readonly folder: Folder | undefined
  readonly attributes: readonly string[]
}

/** Names that match, `*` and `%` as LIST has them, in the order of the names. */
export function listFolders(mailbox: Mailbox, naming: Naming, pattern: string): Listed[] {
  const paths = new Map<string, Path>()
  for (const key of mailbox.folders.keys()) {
    const path = pathOfKey(key)
    for (let length = 1; length <= path.length; length++) {
      const top = path.slice(0, length)
      paths.set(pathKey(top), top)
    }
  }
  const form = formOf(pattern, naming.delimiter)
  return [...paths.values()]
    .map((path) => ({ path, wire: wireName(path, naming) }))
    .filter(({ wire }) => form.test(wire))
    .sort((one, other) => (one.wire < other.wire ? -1 : 1))
    .map(({ path, wire }) => {
      const folder = mailbox.get(path)
      const attributes = [
        ...(folder === undefined ? ['\\Noselect'] : []),
        mailbox.hasBelow(path) ? '\\HasChildren' : '\\HasNoChildren',
        ...(folder?.role === undefined ? [] : [folder.role]),
      ]
      return { path, wire, folder, attributes }
    })
}

function formOf(pattern: string, delimiter: string): RegExp {
  const parts = pattern.split(/([*%])/).map((part) => {
    if (part === '*') return '.*'
    return part === '%' ? `[^${RegExp.escape(delimiter)}]*` : RegExp.escape(part)
  })
  return new RegExp(`^${parts.join('')}$`, pattern.toUpperCase() === inbox ? 'i' : '')
}
