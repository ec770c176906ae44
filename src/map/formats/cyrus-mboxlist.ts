/** What `ctl_mboxlist -d` of Cyrus prints: JSON in newer versions, lines with tabs in older ones. */
import type { Position } from '../../base/position.ts'
import { entryLines, Findings, type MapFormat, type ParseInput } from './map-format.ts'
import { readServer } from './server-text.ts'

export const cyrusMboxlist: MapFormat = {
  name: 'cyrus-mboxlist',
  summary: 'Cyrus: ctl_mboxlist -d, the server of each INBOX',
  parse,
}

interface Mailbox {
  readonly name: string
  readonly server: string
  readonly at: Position
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  const mailboxes = input.text.trimStart().startsWith('{')
    ? fromJson(input, found)
    : fromLines(input, found)
  const inboxes = new Map<string, Mailbox>()
  const folders = new Map<string, Mailbox[]>()
  for (const mailbox of mailboxes) {
    const owner = ownerOf(mailbox.name)
    if (owner === undefined) continue
    if (owner.isInbox) inboxes.set(owner.user, mailbox)
    else folders.set(owner.user, [...(folders.get(owner.user) ?? []), mailbox])
  }
  for (const [user, { server: text, at }] of inboxes) {
    const server = readServer(text)
    if (server === undefined) found.note({ text: user, at }, 'its mailbox names no server')
    else {
      const to = { kind: 'server', server } as const
      found.facts.push({ kind: 'user', at, key: user, side: 'both', to })
    }
  }
  for (const [user, [...own]] of folders) {
    const home = inboxes.get(user)?.server
    const away = own.find(({ server }) => server !== home)
    if (away === undefined) continue
    const reason =
      home === undefined ? 'it has folders and no INBOX' : `it has folders on ${away.server} too`
    found.note({ text: user, at: away.at }, reason)
  }
  return found
}

/** `user.ann` or `dom!user.ann`, folders after it; `/` may divide in the place of `.`. */
function ownerOf(name: string): { user: string; isInbox: boolean } | undefined {
  const [, domain, divider = '.', rest = ''] = /^(?:([^!]+)!)?user([./])(.+)$/.exec(name) ?? []
  if (rest === '') return undefined
  const [local = '', ...folders] = rest.split(divider)
  // Within a name, what divides is written ^.
  const own = divider === '.' ? local.replaceAll('^', '.') : local
  const user = domain === undefined ? own : `${own}@${domain}`
  return { user, isInbox: folders.length === 0 }
}

function fromJson({ text, file }: ParseInput, found: Findings): Mailbox[] {
  const at = { file, line: 1, column: 1 }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    found.note({ text: '', at }, `it is no JSON: ${(error as Error).message}`)
    return []
  }
  return Object.entries(parsed as Record<string, unknown>).flatMap(([key, value]) => {
    const line = 1 + text.slice(0, text.indexOf(JSON.stringify(key))).split('\n').length - 1
    const { name = key, server, partition = '' } = (value ?? {}) as Record<string, unknown>
    const [host = ''] = String(partition).split('!')
    const told = typeof server === 'string' ? server : String(partition).includes('!') ? host : ''
    return [{ name: String(name), server: told, at: { ...at, line } }]
  })
}

function fromLines(input: ParseInput, found: Findings): Mailbox[] {
  return [...entryLines(input)].flatMap((line) => {
    const [name = '', rest = ''] = line.text.split('\t')
    const [, partition = ''] = rest.trim().split(/\s+/)
    if (name === '' || partition === '') {
      found.note(line, 'it is no line of ctl_mboxlist -d')
      return []
    }
    const [server = ''] = partition.includes('!') ? partition.split('!') : ['']
    return [{ name, server, at: line.at }]
  })
}
