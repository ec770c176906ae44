/**
 * What a client hears of a message for several addresses: the one table of what became of each.
 *
 * Who holds the message afterwards decides. While no address has it, the client still holds it for
 * all, and hears why; a refusal for good only where everybody refused for good. As soon as one has it,
 * the client must not send it again: what is owed goes into the spool, and so does the report to the
 * sender of what was refused for good. An unknown outcome counts as owed: a copy too many at most.
 */
import { classOf, type Reply } from '../../mail/reply.ts'

/**
 * accepted: it answered 2xx. refused: 5xx. deferred: 4xx, or it was lost before the end of data.
 * unknown: lost after the end of data. held: its back-end was down, and the spool was promised.
 */
export type OutcomeKind = 'accepted' | 'refused' | 'deferred' | 'unknown' | 'held'

export interface Outcome {
  readonly kind: OutcomeKind
  /** The back-end's, or ours where it gave none. */
  readonly reply: Reply
}

export type Verdict = 'accept' | 'refuse' | 'defer' | 'spool'

/** Without an acceptance. */
const untaken: Readonly<Record<string, Verdict>> = {
  refused: 'refuse',
  deferred: 'defer',
  'deferred refused': 'defer',
  unknown: 'defer',
  'refused unknown': 'defer',
  'deferred unknown': 'defer',
  'deferred refused unknown': 'defer',
}

const taken: Readonly<Record<string, Verdict>> = {
  accepted: 'accept',
  'accepted refused': 'spool',
  'accepted deferred': 'spool',
  'accepted deferred refused': 'spool',
  'accepted unknown': 'spool',
  'accepted refused unknown': 'spool',
  'accepted deferred unknown': 'spool',
  'accepted deferred refused unknown': 'spool',
}

const held: Readonly<Record<string, Verdict>> = {
  held: 'spool',
  'held refused': 'spool',
  'deferred held': 'spool',
  'deferred held refused': 'spool',
  'held unknown': 'spool',
  'held refused unknown': 'spool',
  'deferred held unknown': 'spool',
  'deferred held refused unknown': 'spool',
  'accepted held': 'spool',
  'accepted held refused': 'spool',
  'accepted deferred held': 'spool',
  'accepted deferred held refused': 'spool',
  'accepted held unknown': 'spool',
  'accepted held refused unknown': 'spool',
  'accepted deferred held unknown': 'spool',
  'accepted deferred held refused unknown': 'spool',
}

/** By the kinds that occur, in alphabetical order. */
export const verdicts: Readonly<Record<string, Verdict>> = { ...untaken, ...taken, ...held }

export function verdictOn(outcomes: readonly Outcome[]): Verdict {
  // By far the most frequent.
  if (outcomes.length === 1 && outcomes[0]?.kind === 'accepted') return 'accept'
  const kinds = [...new Set(outcomes.map(({ kind }) => kind))].sort().join(' ')
  const verdict = verdicts[kinds]
  if (verdict === undefined) throw new Error(`no verdict on ${JSON.stringify(kinds)}`)
  return verdict
}

/** What the reply of a back-end means for an address. */
export function outcomeOf(reply: Reply): Outcome {
  const replyClass = classOf(reply)
  if (replyClass === 'success') return { kind: 'accepted', reply }
  return { kind: replyClass === 'permanent' ? 'refused' : 'deferred', reply }
}

/** The first of the kinds, in their order, that occurs. */
export function firstOf(
  outcomes: readonly Outcome[],
  kinds: readonly OutcomeKind[],
): Outcome | undefined {
  for (const wanted of kinds) {
    const found = outcomes.find(({ kind }) => kind === wanted)
    if (found !== undefined) return found
  }
  return undefined
}
