/**
 * What folders have besides messages: rights of others (RFC 4314), and annotations (RFC 5464). Rights
 * are compared and written by the letters of RFC 4314, whatever older letters a server has; names of
 * users are compared with their domain, where a server leaves out that of the owner (Cyrus).
 */
import { bytesOf, type Token, textOf } from './fetch-attributes.ts'
import { Refusal } from './imap-answers.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import { atom, type Attributes, nameOf } from './imap-words.ts'

export interface FolderExtras {
  /** By who has them, without the owner; letters in order. Undefined where the server does not tell. */
  readonly rights: ReadonlyMap<string, string> | undefined
  /** By name; octets as latin1 strings. Likewise. */
  readonly notes: ReadonlyMap<string, string> | undefined
  /** Names of users of this domain are without it there; '' where none are. */
  readonly ownDomain: string
}

/** What is to be set; undefined: to be taken away. */
export interface ExtrasPlan {
  readonly rights: readonly (readonly [who: string, letters: string | undefined])[]
  readonly notes: readonly (readonly [name: string, value: string | undefined])[]
}

/**
 * What makes the target's like the source's. `carried`: names as `rightsName` and `noteName` make them
 * that both had once: what is there of others is left alone, and all where the source does not tell. Pure.
 */
export function planExtras(
  source: Pick<FolderExtras, 'rights' | 'notes'>,
  target: Pick<FolderExtras, 'rights' | 'notes'>,
  carried: (name: string) => boolean,
): ExtrasPlan {
  const changes = (of: 'rights' | 'notes', nameFor: (key: string) => string) => {
    const { [of]: wanted } = source
    const { [of]: there = new Map<string, string>() } = target
    if (wanted === undefined) return []
    const gone = [...there.keys()].filter((key) => !wanted.has(key) && carried(nameFor(key)))
    return [
      ...[...wanted].filter(([key, value]) => there.get(key) !== value),
      ...gone.map((key) => [key, undefined] as const),
    ]
  }
  return { rights: changes('rights', rightsName), notes: changes('notes', noteName) }
}

export const rightsName = (who: string): string => `rights of ${who}`
export const noteName = (name: string): string => `annotation ${name}`

/** `login`: whose the mailbox is. */
export async function readExtras(
  mailbox: ImapMailbox,
  folder: string,
  login: string,
): Promise<FolderExtras> {
  const none = { rights: new Map<string, string>(), ownDomain: '' } as const
  const acl = mailbox.offers('ACL') ? await readRights(mailbox, folder, login) : none
  return { ...acl, notes: await readNotes(mailbox, folder) }
}

async function readRights(
  mailbox: ImapMailbox,
  folder: string,
  login: string,
): Promise<Pick<FolderExtras, 'rights' | 'ownDomain'>> {
  const rights = new Map<string, string>()
  const said = await asked(mailbox, 'GETACL', [nameOf(folder)], 'ACL')
  if (said === undefined) return { rights: undefined, ownDomain: '' }
  const pairs = said.flatMap((tokens) => pairsOf(tokens.slice(1)))
  const [local = '', domain = ''] = login.split('@')
  const isOwner = (who: string): boolean =>
    ['owner', login.toLowerCase(), local.toLowerCase()].includes(who.toLowerCase())
  const ownDomain = pairs.some(([who]) => textOf(who) === local) ? domain : ''
  for (const [token, letters] of pairs) {
    const who = textOf(token)
    const whole = ownDomain !== '' && isUser(who) ? `${who}@${ownDomain}` : who
    const sorted = normalRights(textOf(letters))
    if (!isOwner(who) && sorted !== '') rights.set(whole, sorted)
  }
  return { rights, ownDomain }
}

/** As that server writes the name of somebody who has rights. */
export function nameThere(who: string, { ownDomain }: FolderExtras): string {
  const end = `@${ownDomain}`
  return ownDomain !== '' && who.endsWith(end) ? who.slice(0, -end.length) : who
}

/** Whether it is the name of a user, without a domain; `-` before it takes rights away. */
function isUser(who: string): boolean {
  return !/^(?:anyone|anonymous|authenticated|owner)$|^-?[#$]|[:@]/i.test(who)
}

/** RFC 4314 section 2.1.1: `c` and `d` stand for others. */
export function normalRights(letters: string): string {
  const all = new Set(letters)
  if (all.has('c') && !all.has('k') && !all.has('x')) all.add('k').add('x')
  if (all.has('d') && !all.has('t') && !all.has('e')) all.add('t').add('e')
  all.delete('c')
  all.delete('d')
  return [...all].sort().join('')
}

/** For a server of RFC 2086 alone. */
export function oldRights(letters: string): string {
  return [...new Set(letters.replace(/[kx]/g, 'c').replace(/[te]/g, 'd'))].sort().join('')
}

/** `folder`: '' for those of the user's mailbox as a whole, and of the server. */
export async function readNotes(
  mailbox: ImapMailbox,
  folder: string,
): Promise<FolderExtras['notes']> {
  const notes = new Map<string, string>()
  if (!mailbox.offers('METADATA')) return notes
  const roots = [atom('/private'), atom('/shared')]
  const attributes = [[atom('DEPTH'), atom('infinity')], nameOf(folder), roots]
  const said = await asked(mailbox, 'GETMETADATA', attributes, 'METADATA')
  if (said === undefined) return undefined
  for (const tokens of said) {
    const list = tokens[1]
    if (!Array.isArray(list)) continue
    for (const [token, value] of pairsOf(list as readonly Token[])) {
      const name = textOf(token)
      if (value !== null && !passedBy.test(name)) notes.set(name, bytesOf(value).toString('latin1'))
    }
  }
  return notes
}

/**
 * Special use, which is carried as such (RFC 6154 section 4), and what Cyrus and Dovecot keep for
 * themselves.
 */
const passedBy = /\/specialuse$|^\/[a-z]+\/vendor\/(?:cmu|vendor\.dovecot)\//i

function pairsOf(tokens: readonly Token[]): [Token, Token][] {
  return tokens.flatMap((token, index): [Token, Token][] =>
    index % 2 === 0 ? [[token, tokens[index + 1] ?? null]] : [],
  )
}

/** Undefined where it refuses to tell: that says nothing of what there is. */
async function asked(
  mailbox: ImapMailbox,
  command: 'GETACL' | 'GETMETADATA',
  attributes: Attributes,
  name: string,
): Promise<(readonly Token[])[] | undefined> {
  try {
    return await mailbox.responses(command, attributes, [name])
  } catch (error) {
    if (error instanceof Refusal) return undefined
    throw error
  }
}
