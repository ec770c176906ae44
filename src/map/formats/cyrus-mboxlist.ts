/**
 * What `ctl_mboxlist -d` of Cyrus prints: JSON since 3.4, lines with tabs before. On a front end and
 * on the MUPDATE master it names the server of every mailbox; on a back-end those of others only.
 */
import type { Position } from '../../base/position.ts'
import { jsonMembers } from './json-objects.ts'
import { entryLines, Findings, type MapFormat, type ParseInput } from './map-format.ts'
import { readServer } from './server-text.ts'

export const cyrusMboxlist: MapFormat = {
  name: 'cyrus-mboxlist',
  summary: 'Cyrus: ctl_mboxlist -d, the server of each INBOX',
  parse,
}

interface Mailbox {
  readonly name: string
  /** Empty where the dump is the server's own. */
  readonly server: string
  /** What is left of one that was deleted, or a name that is only reserved. */
  readonly isGone: boolean
  readonly at: Position
}

interface Owner {
  inbox?: Mailbox
  /** The first folder on each server. */
  readonly folders: Map<string, Position>
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  const mailboxes = input.text.trimStart().startsWith('{')
    ? fromJson(input, found)
    : fromLines(input, found)
  const owners = new Map<string, Owner>()
  let [others, first]: [number, Mailbox | undefined] = [0, undefined]
  for (const mailbox of mailboxes) {
    const named = mailbox.isGone ? undefined : ownerOf(mailbox.name)
    if (named === undefined) {
      others++
      first ??= mailbox
      continue
    }
    const owner = owners.get(named.user) ?? { folders: new Map<string, Position>() }
    owners.set(named.user, owner)
    if (named.isInbox) owner.inbox = mailbox
    else if (!owner.folders.has(mailbox.server)) owner.folders.set(mailbox.server, mailbox.at)
  }
  for (const [user, owner] of owners) takeOwner(user, owner, input.backend, found)
  if (first !== undefined) {
    const text = others === 1 ? first.name : `${first.name} and ${others - 1} more`
    found.note(
      { text, at: first.at },
      'a mailbox of no user (shared, or deleted) stays where it is',
    )
  }
  return found
}

function takeOwner(
  user: string,
  { inbox, folders }: Owner,
  backend: string | undefined,
  found: Findings,
): void {
  const [[, at] = []] = folders
  if (inbox === undefined) {
    if (at !== undefined) found.note({ text: user, at }, 'it has folders and no INBOX')
    return
  }
  const server = readServer(inbox.server === '' ? (backend ?? '') : inbox.server)
  if (server === undefined) {
    const reason = 'its INBOX names no server: say whose list this is with --backend'
    found.note({ text: user, at: inbox.at }, reason)
    return
  }
  const to = { kind: 'server', server } as const
  found.facts.push({ kind: 'user', at: inbox.at, key: user, side: 'both', to })
  const away = [...folders].filter(([name]) => name !== inbox.server)
  const [[, place] = []] = away
  if (place === undefined) return
  const servers = away.map(([name]) => (name === '' ? (backend ?? 'this server') : name))
  found.note({ text: user, at: place }, `it has folders on ${servers.join(', ')} too: move them`)
}

/** `user.ann` or `dom!user.ann`, folders after it; `/` may divide in the place of `.`. */
function ownerOf(name: string): { user: string; isInbox: boolean } | undefined {
  const [, before, divider = '.', rest = ''] = /^(?:([^!]+)!)?user([./])(.+)$/su.exec(name) ?? []
  // As clients see it, the domain is behind the folders.
  const [, path = rest, behind] = divider === '/' ? (/^(.*)@([^@]*)$/su.exec(rest) ?? []) : []
  const [local = '', ...folders] = path.split(divider)
  if (local === '') return undefined
  // Within a name, what divides is written ^.
  const own = divider === '.' ? local.replaceAll('^', '.') : local
  const domain = before ?? behind
  return { user: domain === undefined ? own : `${own}@${domain}`, isInbox: folders.length === 0 }
}

function* fromJson(input: ParseInput, found: Findings): Generator<Mailbox, void, undefined> {
  for (const { name, value, at } of jsonMembers(input, found)) {
    const { server, partition, mbtype } = value
    const isGone = typeof mbtype === 'string' && /[dz]/.test(mbtype)
    const told = typeof server === 'string' ? server : ''
    const host = told === '' && typeof partition === 'string' ? serverOf(partition) : told
    yield { name, server: host, isGone, at }
  }
}

/** Bits of the type in the older form. */
const reserved = 2
const deleted = 16

/** `name TAB [type] [server!]partition`, a blank or tab, and access rights. */
function* fromLines(input: ParseInput, found: Findings): Generator<Mailbox, void, undefined> {
  for (const line of entryLines(input)) {
    const [, name, type = '0', partition] =
      /^([^\t]+)\t(?:(\d+) )?(\S+)(?:\s|$)/su.exec(line.text) ?? []
    if (name === undefined || partition === undefined) {
      found.note(line, 'it is no line of ctl_mboxlist -d')
      continue
    }
    const isGone = (Number(type) & (reserved | deleted)) !== 0
    yield { name, server: serverOf(partition), isGone, at: line.at }
  }
}

function serverOf(partition: string): string {
  const at = partition.indexOf('!')
  return at === -1 ? '' : partition.slice(0, at)
}
