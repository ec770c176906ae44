/**
 * What POP3 clients know the messages of a copied mailbox by. UIDLs are read by POP3 at both ends; which
 * message at the target came of which at the source, the journal of the copy knows. Nothing is changed
 * anywhere: what is to hold for the user at the target is returned, to be written down by `UidlStore`.
 */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { Pop3Connection, Pop3Refusal } from '../backend/pop3-connection.ts'
import type { CopyJournal, CopyRoute } from '../map/state/copy-journal.ts'
import { UidlTable } from '../map/state/uidl-table.ts'
import type { CopyEnds, CopySession } from './copy-session.ts'
import { readFetched } from './fetch-attributes.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import { atom, headerOnly, sequence } from './imap-words.ts'
import { matchMessages, type Sized } from './match-messages.ts'
import { hashOf } from './message-hash.ts'
import { readUids } from './uidl-formats.ts'
import { UidSet } from './uid-set.ts'

/** Headers that are asked for at a time. */
const headersAtOnce = 50

export interface UidlWork {
  readonly route: CopyRoute
  readonly ends: CopyEnds
  /** Of the copy. It may select another folder here. */
  readonly session: Pick<CopySession, 'source' | 'target'>
  readonly journal: CopyJournal
  /** What clients know messages at the source by, where the user was brought there in turn. */
  readonly before: UidlTable | undefined
  readonly signal: AbortSignal
}

export interface UidlReport {
  /** Undefined where no message has another UIDL than it had. */
  readonly table: UidlTable | undefined
  /** Messages that keep what clients know them by. */
  readonly kept: number
  /** Messages that came along, and of which that is not known. */
  readonly unknown: number
}

/** Whether both ends speak POP3. */
export function hasPop3({ source, target }: CopyEnds): boolean {
  return source.endpoints.pop3 !== undefined && target.endpoints.pop3 !== undefined
}

/** Throws what connections and the journal throw, and Pop3Refusal where an end has no UIDL. */
export async function readUidls(work: UidlWork): Promise<UidlReport> {
  const { route, ends, session, journal, before, signal } = work
  const folders = journal.folders(journal.mailbox(route))
  const inbox = folders.find(({ sourceName }) => sourceName.toUpperCase() === 'INBOX')
  const copies = inbox === undefined ? [] : [...journal.messages(inbox)]
  if (inbox === undefined || copies.length === 0) return { table: undefined, kept: 0, unknown: 0 }
  const [here, there] = await Promise.all([
    uidlsByUid({
      access: ends.source,
      mailbox: session.source,
      folder: inbox.sourceName,
      uidValidity: inbox.sourceValidity,
      messages: copies.map(({ sourceUid, sizeBytes }) => ({ key: sourceUid, sizeBytes })),
      signal,
    }),
    uidlsByUid({
      access: ends.target,
      mailbox: session.target,
      folder: inbox.targetName,
      uidValidity: inbox.targetValidity,
      messages: copies
        .map(({ targetUid, sizeBytes }) => ({ key: targetUid, sizeBytes }))
        .sort((one, other) => one.key - other.key),
      signal,
    }),
  ])
  const pairs = new Map<string, string>()
  for (const { sourceUid, targetUid } of copies) {
    const [old, now] = [here.get(sourceUid), there.get(targetUid)]
    if (old !== undefined && now !== undefined) pairs.set(now, before?.translate(old) ?? old)
  }
  const isChanged = pairs.entries().some(([now, old]) => now !== old)
  const table = isChanged ? UidlTable.of(pairs) : undefined
  return { table, kept: pairs.size, unknown: copies.length - pairs.size }
}

interface End {
  readonly access: MailboxAccess
  readonly mailbox: ImapMailbox
  readonly folder: string
  readonly uidValidity: number
  /** Those of the copy, by rising UID. */
  readonly messages: readonly Sized[]
  readonly signal: AbortSignal
}

async function uidlsByUid(end: End): Promise<ReadonlyMap<number, string>> {
  const { access, uidValidity, messages, signal } = end
  using connection = await Pop3Connection.open(access, signal)
  const listed = await connection.uidls()
  const known = new Set(messages.map(({ key }) => key))
  const uids = readUids(listed.values(), uidValidity, (uid) => known.has(uid))
  const byUid = new Map([...uids].map(([uidl, uid]) => [uid, uidl]))
  const nameless = [...listed].filter(([, uidl]) => !uids.has(uidl))
  const left = messages.filter(({ key }) => !byUid.has(key))
  if (nameless.length === 0 || left.length === 0) return byUid
  const sizes = await connection.sizes()
  const numbers = nameless.map(([number]) => ({ key: number, sizeBytes: sizes.get(number) ?? 0 }))
  const pairs = await matchMessages(
    { messages: numbers, headers: (keys) => headersByPop3(connection, keys) },
    { messages: left, headers: (keys) => headersByImap(end, keys) },
  )
  for (const [number, uid] of pairs) byUid.set(uid, listed.get(number) ?? '')
  return byUid
}

type Headers = Map<number, string>

async function headersByPop3(
  connection: Pop3Connection,
  numbers: readonly number[],
): Promise<Headers> {
  const headers: Headers = new Map()
  const read = async (number: number): Promise<void> => {
    try {
      headers.set(number, identityOf(await connection.header(number)))
    } catch (error) {
      if (!(error instanceof Pop3Refusal)) throw error
    }
  }
  for (let at = 0; at < numbers.length; at += headersAtOnce) {
    await Promise.all(numbers.slice(at, at + headersAtOnce).map(read))
  }
  return headers
}

/** None where the folder is another one by now. */
async function headersByImap(
  { mailbox, folder, uidValidity }: End,
  uids: readonly number[],
): Promise<Headers> {
  const headers: Headers = new Map()
  const { state } = await mailbox.select(folder, 'read')
  if (state.uidValidity !== uidValidity) return headers
  for (const part of UidSet.of(uids).chunks(headersAtOnce)) {
    const asked = [sequence(part), [atom('UID'), headerOnly]]
    for (const said of await mailbox.responses('UID FETCH', asked, ['FETCH'])) {
      const { uid = 0, body } = readFetched(said) ?? {}
      if (body !== undefined) headers.set(uid, identityOf(body.toString('latin1')))
    }
  }
  return headers
}

/** Servers do not agree whether the empty line is part of a header. */
function identityOf(header: string): string {
  return hashOf(Buffer.from(header.trimEnd(), 'latin1'))
}
