/** What a mailbox amounts to, whether it has room, and how long it will take, before it is copied. */
import { MailmuxError } from '../base/error.ts'
import type { MailboxCopy } from './copy-mailbox.ts'
import { selectableIn } from './imap-answers.ts'
import type { MailboxLook } from './mailbox-look.ts'
import type { Estimate } from './migration-report.ts'
import { batchLimits, planBatches } from './plan-messages.ts'
import { UidSet } from './uid-set.ts'

/**
 * `copied`: so many messages are at the target; then it tells how long the others take. Throws what
 * connections throw.
 */
export async function estimateOf(
  copy: MailboxCopy,
  { source, pairs }: MailboxLook,
  copied?: number,
): Promise<Estimate> {
  const states = [...source.states.values()]
  const messages = states.reduce((sum, state) => sum + state.messages, 0)
  const bytes = await copy.session.source.totalBytes(pairs.map((pair) => pair.source.name))
  const share = Math.max(0, 1 - (copied ?? 0) / messages) || 0
  const left = { messages: share * messages, bytes: share * (bytes ?? 0) }
  const times = copied === undefined ? {} : await estimateTimes(copy, left)
  return { folders: pairs.length, messages, ...(bytes === undefined ? {} : { bytes }), ...times }
}

/** Throws TARGET_FULL where the source's octets have no room, counting what is there already as room. */
export async function checkRoom(copy: MailboxCopy, { bytes }: Estimate, to: string): Promise<void> {
  const quota = await copy.session.target.quota()
  if (quota === undefined || bytes === undefined || bytes <= quota.limitBytes) return
  const what = `${bytes} octets do not fit into the ${quota.limitBytes} that the user may have`
  throw new MailmuxError('TARGET_FULL', `${to}: ${what}`)
}

/** Messages that are read to see how fast that is: of one batch at most. */
const sampled = 300
/** Each is read to be copied, and read at both ends to be compared, some of it at once. */
const readings = 2
/** In a freeze both ends are looked at for what has changed, twice, and then compared. */
const looksInFreeze = 3

/**
 * By how long some messages of the largest folder take to be read now; what else the servers and the
 * network have to do by then may change it.
 */
async function estimateTimes(
  copy: MailboxCopy,
  { messages, bytes }: { readonly messages: number; readonly bytes: number },
): Promise<Pick<Estimate, 'copy_ms' | 'freeze_ms'>> {
  const startedAt = performance.now()
  const look = await copy.look()
  const lookMs = performance.now() - startedAt
  const sample = await readSample(copy, look)
  const share = Math.max(messages / sample.messages, bytes / sample.bytes)
  const { source, target } = copy.plan.ends
  const rates = [source, target].map((end) => end.share?.bytesPerSecond ?? Number.POSITIVE_INFINITY)
  const leastMs = (readings * bytes * 1000) / Math.min(...rates)
  return {
    copy_ms: Math.ceil(lookMs + Math.max(leastMs, readings * share * sample.readMs)),
    freeze_ms: Math.ceil(looksInFreeze * (lookMs + 2 * sample.searchMs)),
  }
}

interface Sample {
  /** Parts of one count, too. */
  readonly messages: number
  readonly bytes: number
  readonly readMs: number
  /** For the numbers of all messages of the folder. */
  readonly searchMs: number
}

async function readSample(copy: MailboxCopy, { source: list }: MailboxLook): Promise<Sample> {
  const { source } = copy.session
  const count = (name: string): number => list.states.get(name)?.messages ?? 0
  const [largest = ''] = [...selectableIn(list)].sort((one, other) => count(other) - count(one))
  const none = { messages: 1, bytes: 1, readMs: 0, searchMs: 0 }
  if (count(largest) === 0) return none
  await source.select(largest, 'read')
  const searchedAt = performance.now()
  const uids = await source.uids()
  const searchMs = performance.now() - searchedAt
  const [some = UidSet.empty] = uids.chunks(sampled)
  const batches = planBatches(await source.facts(some))
  const batch = batches.find(({ large }) => large === undefined) ?? batches[0]
  if (batch === undefined) return { ...none, searchMs }
  const readAt = performance.now()
  const { large } = batch
  const read =
    large === undefined
      ? (await source.bodies(batch.uids)).map(({ body }) => body?.length ?? 0)
      : [(await source.part(large.uid, 0, batchLimits.largeBytes)).length]
  const bytes = read.reduce((sum, length) => sum + length, 0)
  const messages = large === undefined ? read.length : bytes / large.sizeBytes
  const readMs = performance.now() - readAt
  return { messages: messages || 1, bytes: bytes || 1, readMs, searchMs }
}
