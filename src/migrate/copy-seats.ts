/** Connections that the copy of one mailbox may make, at both ends. */
import type { Share } from '../backend/allowance.ts'
import type { CopyEnds } from './copy-session.ts'

/** Its session and one more, to compare by or to ask for what is no message; and one that adds. */
const ofMailbox = { source: 2, target: 3 } as const
/** Of each session besides. */
const ofLane = { source: 1, target: 1 } as const

/** To be taken before the first connection is made. Throws the reason of `signal`. */
export async function takeSeats(ends: CopyEnds, signal: AbortSignal): Promise<Disposable> {
  using taken = new DisposableStack()
  for (const { share, count } of ordered(ends, ofMailbox)) {
    taken.use(await share.seats(count, signal))
  }
  return taken.move()
}

/** For one session more; undefined where there is no room now. */
export function trySeats(ends: CopyEnds): Disposable | undefined {
  using taken = new DisposableStack()
  for (const { share, count } of ordered(ends, ofLane)) {
    const seats = share.trySeats(count)
    if (seats === undefined) return undefined
    taken.use(seats)
  }
  return taken.move()
}

/** All who take some do so in one order of servers, whichever way they copy: nobody waits in a circle. */
function ordered(
  ends: CopyEnds,
  counts: Readonly<Record<keyof CopyEnds, number>>,
): { readonly share: Share; readonly count: number }[] {
  return (['source', 'target'] as const)
    .toSorted((one, other) => (ends[one].server < ends[other].server ? -1 : 1))
    .flatMap((end) => {
      const { share } = ends[end]
      return share === undefined ? [] : [{ share, count: counts[end] }]
    })
}
