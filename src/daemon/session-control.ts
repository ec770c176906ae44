/** Who is connected to this daemon, whatever worker has them; and their end where it is asked for. */
import { waits } from '../base/limit.ts'
import type { Log } from '../base/log.ts'
import { MailmuxError } from '../base/error.ts'
import { JsonOf } from '../control/json-of.ts'
import type {
  KickReport,
  KickRequest,
  SessionFilter,
  WhoPage,
  WhoRequest,
} from '../control/session-messages.ts'
import { type Naming, parseAddress } from '../mail/address.ts'
import { parseNetwork } from '../mail/network.ts'
import { numberOf } from './session-list.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Lists are short work; a kick waits for boundaries, and then for sockets to close. */
const whoMs = 5_000
const kickMs = 4 * waits.boundaryMs + 4 * waits.closeMs

/** What of the daemon is needed to ask its processes. */
export interface Daemon {
  /** Every one that lives, those that are leaving included, and the queue. */
  readonly workers: readonly WorkerProcess[]
  readonly naming: Naming
  readonly log: Log
}

/** The canonical address of a user of ours. Throws DAEMON_REFUSED where the text is none. */
export function userOf(text: string, { naming }: Daemon): string {
  const address = parseAddress(text, naming)
  if (address !== undefined && naming.domains.has(address.domain)) return address.key
  throw new MailmuxError('DAEMON_REFUSED', `${text} is no address of ours`)
}

function checked<Filter extends SessionFilter>(filter: Filter, daemon: Daemon): Filter {
  const { user, from } = filter
  if (from !== undefined && parseNetwork(from) === undefined) {
    throw new MailmuxError('DAEMON_REFUSED', `${from} is neither an address nor a network`)
  }
  return user === undefined ? filter : { ...filter, user: userOf(user, daemon) }
}

function workersOf({ workers }: Daemon): WorkerProcess[] {
  return workers.filter(({ role, isListening }) => role === 'worker' && isListening)
}

/** A part of the list: an equal share of it from each worker. */
export async function who(request: WhoRequest, daemon: Daemon): Promise<JsonOf<WhoPage>> {
  const { after, limit, ...filter } = checked(request, daemon)
  const places = after?.map((id) => [Number.parseInt(id, 10), numberOf(id)] as const)
  const seen = new Map(places)
  const workers = workersOf(daemon).filter(({ number }) => after === undefined || seen.has(number))
  const share = Math.max(1, Math.floor(limit / workers.length))
  const pages = await Promise.all(
    workers.map((worker) => {
      const last = seen.get(worker.number) ?? 0
      return worker.ask({ do: 'who', filter, after: last, limit: share }, whoMs)
    }),
  )
  const views = pages.flatMap((page) => (page === undefined || page.views === '' ? [] : page.views))
  const next = pages.flatMap((page) => page?.last ?? [])
  const silent = JSON.stringify(silentOf(workers, pages))
  const more = next.length === 0 ? '' : `,"after":${JSON.stringify(next)}`
  return new JsonOf(`{"sessions":[${views.join(',')}],"silent":${silent}${more}}`)
}

/** Those that live and did not answer. */
function silentOf(workers: readonly WorkerProcess[], answers: readonly unknown[]): number[] {
  return workers
    .filter((worker, index) => answers[index] === undefined && !worker.isGone)
    .map(({ number }) => number)
}

/** Ends a user's sessions; returns when all are gone. */
export async function kick(request: KickRequest, daemon: Daemon): Promise<KickReport> {
  const filter = checked(request, daemon)
  const workers = workersOf(daemon)
  const counts = await Promise.all(
    workers.map((worker) => worker.ask({ do: 'kick', filter }, kickMs)),
  )
  const sessions = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0)
  daemon.log('sessions.kicked', { user: filter.user, sessions })
  return { user: filter.user, sessions, silent: silentOf(workers, counts) }
}
