/**
 * When a mailbox is frozen in this process: nothing new is let in already, and what is under way ends,
 * or is ended. Whoever is asked to yield does so at once or as soon as nothing is lost by it.
 */
import { waits } from '../base/limit.ts'
import type { FreezeAck } from './channel.ts'
import { comesTrue } from './comes-true.ts'
import type { Freeze } from './freezes.ts'

/** A session, or a delivery from the spool. */
interface Concerned {
  concerns(freeze: Freeze): boolean
  yieldTo(freeze: Freeze, isLast: boolean): void
}

export interface Underway {
  readonly sessions: Iterable<Concerned>
  readonly deliveries: Iterable<Concerned>
}

/** For what was ended by force to be gone. */
const lastMs = 1_000

/** Returns when nothing that is under way concerns the freeze, or will not end, or it is over itself. */
export async function raiseBarrier(
  freeze: Freeze,
  { sessions, deliveries }: Underway,
  patienceMs: number = waits.freezeVerdictMs,
): Promise<FreezeAck> {
  const [atWork, onTheirWay] = [sessions, deliveries].map((all) =>
    [...all].filter((one) => one.concerns(freeze)),
  )
  const found = { sessions: atWork?.length ?? 0, deliveries: onTheirWay?.length ?? 0 }
  const concerned = [...(atWork ?? []), ...(onTheirWay ?? [])]
  const complete =
    (await haveYielded(concerned, freeze, { isLast: false, withinMs: patienceMs })) ||
    (await haveYielded(concerned, freeze, { isLast: true, withinMs: lastMs }))
  return { complete: complete && !freeze.isOver, ...found }
}

function haveYielded(
  concerned: readonly Concerned[],
  freeze: Freeze,
  { isLast, withinMs }: { readonly isLast: boolean; readonly withinMs: number },
): Promise<boolean> {
  for (const one of concerned) if (one.concerns(freeze)) one.yieldTo(freeze, isLast)
  // After the thaw they may well be there again.
  const hasEnded = (): boolean => freeze.isOver || !concerned.some((one) => one.concerns(freeze))
  return comesTrue(hasEnded, withinMs)
}
