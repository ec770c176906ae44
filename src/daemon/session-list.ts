/** The sessions of a worker, as an administrator asks for them. */
import { waits } from '../base/limit.ts'
import type { SessionFilter, SessionView } from '../control/session-messages.ts'
import { NetworkList } from '../mail/network.ts'
import type { SessionPage } from './channel.ts'
import { comesTrue } from './comes-true.ts'
import type { Session } from './runtime.ts'

/** For what was ended to be gone, before it is ended by force; and after that. */
const goneMs = waits.boundaryMs + 2 * waits.closeMs

/** Sessions in the order in which they came, after the one of that number; at most `limit`. */
export function listSessions(
  sessions: Iterable<Session>,
  { filter, after, limit }: { readonly filter: SessionFilter; after: number; limit: number },
): SessionView[] {
  const nowMs = performance.now()
  const isMeant = matcherFor(filter)
  const views: SessionView[] = []
  for (const session of sessions) {
    if (views.length >= limit) break
    if (numberOf(session.id) > after && isMeant(session)) views.push(viewOf(session, nowMs))
  }
  return views
}

/** As text, because whoever hands them on has no need to read them. `limit`: as they were listed. */
export function pageOf(views: readonly SessionView[], limit: number): SessionPage {
  const text = JSON.stringify(views).slice(1, -1)
  const last = views.length < limit ? undefined : views.at(-1)
  return last === undefined ? { views: text } : { views: text, last: last.session }
}

/** Ends sessions, each at its next boundary, and returns how many when all are gone. */
export async function endSessions(
  sessions: Iterable<Session>,
  filter: SessionFilter,
): Promise<number> {
  const meant = [...sessions].filter(matcherFor(filter))
  for (const session of meant) session.shutdown('kicked')
  const left = (): ReadonlySet<Session> => new Set(sessions).intersection(new Set(meant))
  const isOver = (): boolean => left().size === 0
  if (!(await comesTrue(isOver, goneMs))) {
    for (const session of left()) session.kill()
    await comesTrue(isOver, goneMs)
  }
  return meant.length
}

/** `3-1207` → 1207. */
export function numberOf(id: string): number {
  return Number(id.slice(id.indexOf('-') + 1))
}

/** The user is in canonical form, the others were checked. */
function matcherFor({ user, backend, service, from }: SessionFilter): (of: Session) => boolean {
  const networks = from === undefined ? undefined : new NetworkList([from])
  return (session) =>
    (user === undefined || session.user === user) &&
    (backend === undefined || session.backend === backend) &&
    (service === undefined || session.service === service) &&
    (networks === undefined || networks.has(hostOf(session.peer)))
}

/** `[2001:db8::7]:993` → `2001:db8::7`. */
function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^\[|\]$/g, '')
}

function viewOf(session: Session, nowMs: number): SessionView {
  const { id, service, state, peer, user, login, backend, startedAt, bytesIn, bytesOut } = session
  return {
    session: id,
    service,
    state,
    peer,
    ...(user === undefined ? {} : { user }),
    ...(login === undefined ? {} : { login }),
    ...(backend === undefined ? {} : { backend }),
    duration_ms: Math.round(nowMs - startedAt),
    bytes_in: bytesIn,
    bytes_out: bytesOut,
  }
}
