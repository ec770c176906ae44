/** Messages of the spool as a person is told of them, and what a person may do to them. */
import type {
  QueueChange,
  QueuedMessage,
  QueuedRecipient,
  QueuePage,
} from '../mail/queued-message.ts'
import { MessageFile, UnusableFile } from './message-file.ts'
import type { RecipientProgress } from './progress.ts'
import { codeOf } from './spool-fault.ts'
import { isId } from './spool-places.ts'
import type { Quarantined, SpoolStore } from './spool-store.ts'

/** What whoever delivers knows of a message beyond its file. */
export interface Standings {
  /** Milliseconds since 1970. */
  readonly wallMs: number
  isActive(id: string): boolean
  /** When it is due; undefined: what its file says holds. */
  nextAt(id: string): number | undefined
}

export function describeMessage(file: MessageFile, standings: Standings): QueuedMessage {
  const { head, progress, contentBytes } = file
  const next = standings.nextAt(head.id) ?? progress.nextAt
  const isActive = standings.isActive(head.id)
  return {
    id: head.id,
    state: isActive ? 'active' : 'waiting',
    arrived: new Date(head.arrivedAt).toISOString(),
    age_ms: Math.max(0, Math.round(standings.wallMs - head.arrivedAt)),
    size: contentBytes,
    sender: head.envelope.sender,
    attempts: progress.attempts,
    ...(isActive || next === undefined || next <= standings.wallMs
      ? {}
      : { next: new Date(next).toISOString() }),
    recipients: progress.recipients.map(describeRecipient),
  }
}

function describeRecipient(one: RecipientProgress): QueuedRecipient {
  const { recipient, result, backend, code, status, text } = one
  return {
    address: recipient.address,
    result,
    ...(backend === undefined ? {} : { backend }),
    ...(code === undefined ? {} : { code }),
    ...(status === '' ? {} : { status }),
    text,
  }
}

/** A part of the queue: messages by arrival, then those in quarantine. */
export async function listMessages(
  store: SpoolStore,
  standings: Standings,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<QueuePage> {
  const { ids } = await store.contents()
  const aside = await store.quarantined()
  // A name in quarantine has a dot, which no id has: one row of keys for both.
  const keys = [...ids.map((id) => `m${id}`), ...aside.map(({ name }) => `q${name}`)]
  const wanted = keys.filter((key) => key > after)
  const messages: QueuedMessage[] = []
  for (const key of wanted.slice(0, limit)) {
    const found = key.startsWith('m')
      ? await describeWaiting(store, key.slice(1), standings)
      : await describeAside(
          store,
          aside.find(({ name }) => name === key.slice(1)),
        )
    if (found !== undefined) messages.push(found)
  }
  const last = wanted.length > limit ? wanted[limit - 1] : undefined
  return { messages, ...(last === undefined ? {} : { after: last }) }
}

/** Those with these ids; who is not there is left out. */
export async function showMessages(
  store: SpoolStore,
  standings: Standings,
  ids: readonly string[],
): Promise<QueuePage> {
  const aside = await store.quarantined()
  const messages: QueuedMessage[] = []
  for (const id of ids.filter(isId)) {
    const found =
      (await describeWaiting(store, id, standings)) ??
      (await describeAside(
        store,
        aside.find((one) => one.id === id),
      ))
    if (found !== undefined) messages.push(found)
  }
  return { messages }
}

async function describeWaiting(
  store: SpoolStore,
  id: string,
  standings: Standings,
): Promise<QueuedMessage | undefined> {
  const file = await openIfAny(() => store.open(id))
  if (file === undefined) return undefined
  // It is found out, and set aside, when it is due.
  if (file instanceof UnusableFile) {
    return { id, state: 'waiting', size: 0, reason: file.message, recipients: [] }
  }
  try {
    return describeMessage(file, standings)
  } finally {
    await file.close()
  }
}

const never: Standings = { wallMs: 0, isActive: () => false, nextAt: () => undefined }

async function describeAside(
  store: SpoolStore,
  quarantined: Quarantined | undefined,
): Promise<QueuedMessage | undefined> {
  if (quarantined === undefined) return undefined
  const { id, reason, sizeBytes } = quarantined
  const file = await openIfAny(() => store.openQuarantined(quarantined))
  if (!(file instanceof MessageFile)) {
    return { id, state: 'quarantined', size: sizeBytes, reason, recipients: [] }
  }
  try {
    const { next: _, age_ms: __, ...described } = describeMessage(file, never)
    return { ...described, state: 'quarantined', reason }
  } finally {
    await file.close()
  }
}

async function openIfAny(
  open: () => Promise<MessageFile>,
): Promise<MessageFile | UnusableFile | undefined> {
  try {
    return await open()
  } catch (error) {
    if (error instanceof UnusableFile) return error
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What is done to one message that waits, by whoever delivers; false where there is none. */
export type ChangeOne = (id: string) => Promise<boolean>

/** Retries messages: those in quarantine are taken out of it. */
export async function retryMessages(
  store: SpoolStore,
  ids: readonly string[],
  { wallMs, retry }: { readonly wallMs: number; readonly retry: ChangeOne },
): Promise<QueueChange> {
  const aside = await store.quarantined()
  return change(ids, retry, async (id) => {
    const found = aside.find((one) => one.id === id)
    if (found === undefined) return false
    await store.release(found, wallMs)
    return true
  })
}

/** Removes messages, those in quarantine too. */
export async function removeMessages(
  store: SpoolStore,
  ids: readonly string[],
  remove: ChangeOne,
): Promise<QueueChange> {
  const aside = await store.quarantined()
  return change(ids, remove, async (id) => {
    const found = aside.filter((one) => one.id === id)
    for (const one of found) await store.removeQuarantined(one)
    return found.length > 0
  })
}

async function change(
  ids: readonly string[],
  waiting: ChangeOne,
  aside: ChangeOne,
): Promise<QueueChange> {
  const done: string[] = []
  const unknown: string[] = []
  const unreadable: string[] = []
  for (const id of new Set(ids)) {
    try {
      const isThere = isId(id) && ((await waiting(id)) || (await aside(id)))
      if (isThere) done.push(id)
      else unknown.push(id)
    } catch (error) {
      if (!(error instanceof UnusableFile)) throw error
      unreadable.push(id)
    }
  }
  return { done, unknown, unreadable }
}
