/**
 * Looks whether a mailbox is at the target as it is at the source. It asks nobody what was copied:
 * both ends are read over connections of its own, and neither the journal nor any number that the
 * copying got is believed. Which folder stands for which is all that it is told.
 */
import type { FolderState } from '../map/state/copy-journal.ts'
import { type Comparison, compareMessages, type SeenMessage } from './compare-messages.ts'
import type { CopyEnds } from './copy-session.ts'
import { type Fetched, secondsOf } from './fetch-attributes.ts'
import type { FolderPair } from './folder-map.ts'
import { Refusal, type SelectedFolder } from './imap-answers.ts'
import { ImapMailbox } from './imap-mailbox.ts'
import type { KnownFolder, KnownMessage, KnownMessages } from './known-messages.ts'
import { readHashed } from './message-hash.ts'
import { keptFlags } from './plan-messages.ts'
import { UidSet } from './uid-set.ts'

/** full: octets are compared by SHA-256. fast: size and Message-Id stand for them. */
export type VerifyMode = 'full' | 'fast'

export interface FolderVerdict extends Comparison {
  readonly source: string
  readonly target: string
  readonly messages: { readonly source: number; readonly target: number }
  /** Why the folder could not be read. */
  readonly problem?: string
}

export interface MailboxVerdict {
  readonly mode: VerifyMode
  readonly isEqual: boolean
  /** In the folders that were looked into. */
  readonly messages: { readonly source: number; readonly target: number }
  /** Those that are not equal. */
  readonly folders: readonly FolderVerdict[]
}

export interface VerifyOptions {
  /** KnownMessages: full, but what was read before is not read again. */
  readonly mode: VerifyMode | KnownMessages
  /** Told of each folder as soon as it was found equal, by its name at the source. */
  readonly onEqual: (source: string) => void
}

/** Throws what connections throw. */
export async function verifyMailbox(
  ends: CopyEnds,
  pairs: readonly Pick<FolderPair, 'source' | 'target'>[],
  how: VerifyMode | VerifyOptions,
  signal: AbortSignal,
): Promise<MailboxVerdict> {
  const { mode, onEqual } = typeof how === 'string' ? { mode: how } : how
  await using source = await ImapMailbox.open(ends.source, signal)
  await using target = await ImapMailbox.open(ends.target, signal)
  const verdicts: FolderVerdict[] = []
  for (const pair of pairs) {
    const names = { source: pair.source.name, target: pair.target }
    const verdict = await verifyFolder({ source, target }, names, mode)
    verdicts.push(verdict)
    if (isEqual(verdict)) onEqual?.(names.source)
  }
  const folders = verdicts.filter((verdict) => !isEqual(verdict))
  const sum = (end: 'source' | 'target'): number =>
    verdicts.reduce((total, { messages }) => total + messages[end], 0)
  return {
    mode: mode === 'fast' ? 'fast' : 'full',
    isEqual: folders.length === 0,
    messages: { source: sum('source'), target: sum('target') },
    folders,
  }
}

function isEqual({ missing, extra, differing, problem }: FolderVerdict): boolean {
  return missing.length + extra.length + differing.length === 0 && problem === undefined
}

async function verifyFolder(
  mailboxes: { readonly source: ImapMailbox; readonly target: ImapMailbox },
  names: { readonly source: string; readonly target: string },
  mode: VerifyMode | KnownMessages,
): Promise<FolderVerdict> {
  try {
    const [here, there] = await Promise.all([
      mailboxes.source.select(names.source, 'read'),
      // For its PERMANENTFLAGS, which are none where nothing may be written.
      mailboxes.target.select(names.target, 'write'),
    ])
    const read = (end: 'source' | 'target', { state }: SelectedFolder): Promise<SeenMessage[]> => {
      const known = typeof mode === 'string' ? mode : mode.of(end, names[end], state)
      return readFolder(mailboxes[end], { state, target: there }, known)
    }
    const [source, target] = await Promise.all([read('source', here), read('target', there)])
    const isCounted =
      here.state.messages === source.length && there.state.messages === target.length
    return {
      ...names,
      messages: { source: source.length, target: target.length },
      ...compareMessages(source, target),
      ...(isCounted ? {} : { problem: 'messages came or went while it was read' }),
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const none = { missing: [], extra: [], differing: [] }
    return { ...names, messages: { source: 0, target: 0 }, ...none, problem: error.message }
  }
}

async function readFolder(
  mailbox: ImapMailbox,
  { state, target }: { readonly state: FolderState; readonly target: SelectedFolder },
  known: VerifyMode | KnownFolder,
): Promise<SeenMessage[]> {
  const keep = keeper(target)
  const uids = await mailbox.uids()
  if (known === 'fast') {
    return (await mailbox.identities(uids)).map((one) => ({
      ...seenOf(one, identityOf(one)),
      flags: keep(one.flags),
    }))
  }
  const folder =
    known === 'full' ? { messages: new Map<number, KnownMessage>(), modseq: '' } : known
  await bringUpToDate(mailbox, folder, uids, state)
  return [...folder.messages].map(([uid, { sha256, sizeBytes, date, flags }]) => {
    return { uid, identity: sha256, sizeBytes, date, flags: keep(flags) }
  })
}

/** Flags that the target keeps, in one text; most messages have the same few. */
function keeper({ permanentFlags }: SelectedFolder): (flags: string) => string {
  const kept = new Map<string, string>()
  return (flags) => {
    const before = kept.get(flags)
    if (before !== undefined) return before
    const text = keptFlags(flags, permanentFlags).join(' ')
    kept.set(flags, text)
    return text
  }
}

/** Reads what has come, gone and changed, of the folder that is selected in `state`. */
async function bringUpToDate(
  mailbox: ImapMailbox,
  folder: KnownFolder,
  uids: UidSet,
  { modseq }: FolderState,
): Promise<void> {
  const { messages } = folder
  for (const uid of messages.keys()) if (!uids.has(uid)) messages.delete(uid)
  const known = UidSet.of([...messages.keys()].sort((one, other) => one - other))
  const isTold = folder.modseq !== '' && modseq !== ''
  if (isTold && folder.modseq !== modseq) {
    for (const { uid, flags } of await mailbox.changedFlags(folder.modseq)) {
      const before = messages.get(uid)
      if (before !== undefined) messages.set(uid, { ...before, flags })
    }
  }
  if (!isTold) {
    const before = new Map(messages)
    messages.clear()
    for (const one of await mailbox.facts(known)) {
      const { sha256 = '' } = before.get(one.uid) ?? {}
      messages.set(one.uid, { sha256, ...seenOf(one, sha256) })
    }
  }
  for await (const { fetched, sha256 } of readHashed(mailbox, uids.minus(known))) {
    messages.set(fetched.uid, { sha256, ...seenOf(fetched, sha256) })
  }
  folder.modseq = modseq
}

function seenOf({ uid, sizeBytes, date, flags }: Fetched, identity: string): SeenMessage {
  return { uid, identity, sizeBytes, date: secondsOf(date), flags }
}

function identityOf({ sizeBytes, body }: Fetched): string {
  const id = body
    ?.toString('latin1')
    .replace(/^message-id:/i, '')
    .replace(/\s+/g, '')
  return `${sizeBytes} ${id ?? ''}`
}
