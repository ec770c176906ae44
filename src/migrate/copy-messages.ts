/**
 * Brings messages of one folder over, in the order of their UIDs. While batches are being stored the
 * next is read; what is stored is written down before the one after it comes into being.
 */
import { type AppendMessage, type AppendOutcome, WrongSize } from '../backend/append-connection.ts'
import { isThrottled } from '../backend/throttled.ts'
import { MailmuxError } from '../base/error.ts'
import type { CopiedMessage } from '../map/state/copy-journal.ts'
import type { AppendTurn } from './append-pool.ts'
import { findOrphans, type FolderContext, keepFlags } from './folder-work.ts'
import { Refusal } from './imap-answers.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import { appendDate, type Fetched, secondsOf } from './fetch-attributes.ts'
import { factsAtOnce, Hasher, hashOf } from './message-hash.ts'
import { type AheadOctets, octetsOf, readAhead } from './message-octets.ts'
import { groupFlagChanges, inPieces, planBatches } from './plan-messages.ts'
import { octetsSpent } from './spent-octets.ts'
import { StoreLine } from './store-line.ts'
import type { UidSet } from './uid-set.ts'

/** Codes of a target that may take the message another time. RFC 5530. */
const passing = new Set(['SERVERBUG', 'INUSE', 'TRYCREATE', 'NONEXISTENT'])

/** Read at the source, and not yet known to be at the target. */
interface Pending {
  readonly fetched: Fetched
  readonly sha256: string
  readonly sizeBytes: number
  /** Undefined of one that streams. */
  readonly body: Buffer | undefined
}

export async function copyMessages(context: FolderContext, fresh: UidSet): Promise<void> {
  const { session, appends } = context.work
  const limits = inPieces(context.work.batches, session.source, session.target)
  const line = new StoreLine()
  // Servers go on where they were in a message; those asked for two in turn begin again each time.
  let reading: Promise<void> = Promise.resolve()
  try {
    for (const part of fresh.chunks(factsAtOnce)) {
      const facts = await leaveTooLarge(context, await session.source.facts(part))
      for (const batch of planBatches(facts, limits)) {
        const { large, bytes } = batch
        await Promise.all([session.source.admit(bytes), session.target.admit(bytes)])
        await reading
        line.throwIfFailed()
        const begun = large === undefined ? await read(context, batch.uids) : ahead(context, large)
        const turn = await appends.turn()
        if (large === undefined) octetsSpent(bytes)
        const stored = line.add(async (before) => {
          using _turn = turn
          const adding = { turn, before }
          await ('octets' in begun
            ? storeLarge(context, begun, adding)
            : store(context, begun, adding))
        })
        if ('octets' in begun) {
          reading = Promise.race([begun.wholeRead, stored])
          // Told of by the line.
          reading.catch(() => undefined)
        }
      }
    }
  } finally {
    await line.end()
  }
}

/** What the target says that it does not take is not sent there. RFC 7889 section 3.1. */
async function leaveTooLarge(
  context: FolderContext,
  facts: readonly Fetched[],
): Promise<readonly Fetched[]> {
  const { server, appendLimitBytes = Number.POSITIVE_INFINITY } = context.work.session.target
  const isTooLarge = ({ sizeBytes }: Fetched): boolean => sizeBytes > appendLimitBytes
  for (const one of facts.filter(isTooLarge)) {
    const reason = `${one.sizeBytes} octets, and ${server} takes ${appendLimitBytes} at most`
    const { sizeBytes } = one
    await leaveBehind(context, { fetched: one, sizeBytes, body: undefined }, reason)
  }
  return facts.filter((one) => !isTooLarge(one))
}

/** How messages are added: by whose connection, and after which others. */
interface Adding {
  readonly turn: AppendTurn
  readonly before: Promise<void>
}

async function read(context: FolderContext, uids: UidSet): Promise<Pending[]> {
  const found = await context.work.session.source.bodies(uids)
  const there = found.some(isEmpty) ? await presentNow(context) : undefined
  return found.flatMap((fetched) => {
    const { body, uid } = fetched
    // What has been expunged since is not answered for, or as if it were empty (Dovecot 2.3).
    if (body === undefined || (isEmpty(fetched) && there?.has(uid) === false)) return []
    return [{ fetched, body, sizeBytes: body.length, sha256: hashOf(body) }]
  })
}

function isEmpty({ body }: Fetched): boolean {
  return body?.length === 0
}

async function presentNow({ work }: FolderContext): Promise<UidSet> {
  await work.session.source.select(work.sourceName, 'read')
  return await work.session.source.uids()
}

async function store(
  context: FolderContext,
  pending: readonly Pending[],
  { turn, before }: Adding,
): Promise<void> {
  const { work, pool } = context
  const rest = pool.isEmpty ? pending : await adopt(context, pending)
  if (rest.length === 0) return
  const messages = rest.map((one) => messageOf(context, one, one.body ?? Buffer.alloc(0)))
  await settle(context, rest, await turn.append(work.targetName, () => messages, before))
}

function messageOf(
  { target, report }: FolderContext,
  { fetched, sizeBytes }: Pick<Pending, 'fetched' | 'sizeBytes'>,
  body: AppendMessage['body'],
): AppendMessage {
  const flags = keepFlags(fetched.flags, target, report)
  return { flags, date: appendDate(fetched.date), sizeBytes, body }
}

/** A message that streams, of which the first octets are being read. */
interface Streaming extends AheadOctets {
  readonly fetched: Fetched
}

function ahead({ work }: FolderContext, fetched: Fetched): Streaming {
  return { fetched, ...readAhead(octetsOf(work.session.source, fetched.uid)) }
}

/** One that streams; where it may be there already, it is read once before. */
async function storeLarge(
  context: FolderContext,
  { fetched, octets: begun }: Streaming,
  { turn, before }: Adding,
): Promise<void> {
  const { work, pool } = context
  const { sizeBytes } = fetched
  let octets: AsyncIterable<Buffer> | undefined = begun
  if (!pool.isEmpty) {
    const sha256 = await Hasher.of(octets)
    const rest = await adopt(context, [{ fetched, sha256, sizeBytes, body: undefined }])
    if (rest.length === 0) return
    octets = undefined
  }
  let hasher = new Hasher()
  const messages = (): AppendMessage[] => {
    hasher = new Hasher()
    const read = octets ?? octetsOf(work.session.source, fetched.uid)
    octets = undefined
    return [messageOf(context, { fetched, sizeBytes }, hasher.pass(read))]
  }
  const outcomes = await turn.append(work.targetName, messages, before).catch((error: unknown) => {
    // Cut off in the middle, it is not stored.
    if (!(error instanceof WrongSize)) throw error
    return [{ kind: 'refused', code: '', text: error.message } as const]
  })
  const isCut = outcomes[0]?.kind === 'refused' && hasher.sizeBytes !== sizeBytes
  if (isCut && !(await presentNow(context)).has(fetched.uid)) return
  const { sha256 } = hasher
  await settle(context, [{ fetched, sha256, sizeBytes, body: undefined }], outcomes)
}

/** Takes what is at the target already for the copies of messages; returns those that are not. */
async function adopt(context: FolderContext, pending: readonly Pending[]): Promise<Pending[]> {
  const { work, folder, target, pool, report } = context
  const rest: Pending[] = []
  const rows: CopiedMessage[] = []
  for (const one of pending) {
    const uid = pool.take(one.sha256, secondsOf(one.fetched.date))
    if (uid === undefined) rest.push(one)
    else rows.push(rowOf(one, uid))
  }
  const wanted = new Map(rows.map(({ targetUid, flags }) => [targetUid, flags]))
  for (const { uids, flags } of groupFlagChanges(wanted)) {
    await work.session.target.setFlags(uids, keepFlags(flags, target, report))
  }
  work.journal.record(folder, rows)
  report.found += rows.length
  work.onProgress(rows.length, bytesOf(rows))
  return rest
}

function bytesOf(rows: readonly CopiedMessage[]): number {
  return rows.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

/** Writes down what became of messages. */
async function settle(
  context: FolderContext,
  pending: readonly Pending[],
  outcomes: readonly AppendOutcome[],
): Promise<void> {
  const { work, folder, report } = context
  const rows: CopiedMessage[] = []
  const untold: Pending[] = []
  const refused: [Pending, Refused][] = []
  for (const [index, one] of pending.entries()) {
    const outcome = outcomes[index]
    if (outcome?.kind === 'refused') refused.push([one, outcome])
    else if (outcome?.uid === undefined || outcome.uidValidity !== folder.targetValidity) {
      untold.push(one)
    } else rows.push(rowOf(one, outcome.uid))
  }
  work.journal.record(folder, rows)
  if (untold.length > 0) {
    const found = await findStored(context, untold)
    work.journal.record(folder, found)
    rows.push(...found)
  }
  report.copied += rows.length
  report.bytes += bytesOf(rows)
  work.onProgress(rows.length, bytesOf(rows))
  for (const [one, refusal] of refused) await tellOf(context, one, refusal)
}

function rowOf({ fetched, sha256, sizeBytes }: Pending, targetUid: number): CopiedMessage {
  const { uid, flags } = fetched
  return { sourceUid: uid, targetUid, sizeBytes, sha256, date: secondsOf(fetched.date), flags }
}

type Refused = Extract<AppendOutcome, { kind: 'refused' }>

/** Throws where it is not the message that is bad, or there are too many. */
async function tellOf(
  context: FolderContext,
  one: Pending,
  { code, text }: Refused,
): Promise<void> {
  const { work } = context
  const { target } = work.session
  const reason = code === '' ? text : `[${code}] ${text}`
  const what = `${target.server}: ${work.targetName}: ${reason}`
  if (isThrottled({ command: 'APPEND', code, text })) {
    throw new MailmuxError('BACKEND_THROTTLED', what)
  }
  if (code === 'OVERQUOTA') throw new MailmuxError('TARGET_FULL', what)
  if (passing.has(code)) throw new MailmuxError('BACKEND_UNREACHABLE', what)
  await leaveBehind(context, one, reason)
}

/** Throws where there are too many. */
async function leaveBehind(
  { work, report }: FolderContext,
  { fetched, body, sizeBytes }: Pick<Pending, 'fetched' | 'body' | 'sizeBytes'>,
  reason: string,
): Promise<void> {
  report.bad++
  const { uid } = fetched
  const bad = { folder: work.sourceName, uid, sizeBytes, reason }
  try {
    await work.onBad({ ...bad, body: body ?? readAgain(work.session.source, fetched) })
  } catch (error) {
    // Gone by now, it is not left behind.
    if (!(error instanceof Refusal)) throw error
  }
}

/** Of one that streams. */
async function* readAgain(
  source: ImapMailbox,
  { uid, sizeBytes }: Fetched,
): AsyncGenerator<Buffer, void, undefined> {
  await source.admit(sizeBytes)
  yield* octetsOf(source, uid)
}

/** A target without UIDPLUS does not tell which messages it made: they are read there, and known. */
async function findStored(
  { work, folder }: FolderContext,
  untold: readonly Pending[],
): Promise<CopiedMessage[]> {
  const { target } = work.session
  const { state } = await target.select(work.targetName, 'write')
  const pool = await findOrphans(work, { ...folder, target: undefined }, state)
  return untold.map((one) => {
    const uid = pool.take(one.sha256, secondsOf(one.fetched.date))
    if (uid !== undefined) return rowOf(one, uid)
    const what = `message ${one.fetched.uid} of ${work.sourceName} was stored as something else`
    throw new MailmuxError('COPY_ALTERED', `${target.server}: ${what}`)
  })
}
