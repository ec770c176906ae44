/** Who is connected to this daemon, whatever worker has them; and their end where it is asked for. */
import { waits } from '../base/limit.ts'
import type { Log } from '../base/log.ts'
import { MailmuxError } from '../base/error.ts'
import type {
  KickReport,
  KickRequest,
  SessionFilter,
  SessionView,
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

/** A part of the list: by worker, and by when they came. */
export async function who(request: WhoRequest, daemon: Daemon): Promise<WhoPage> {
  const { after = '', limit, ...filter } = checked(request, daemon)
  const [from = 0, afterNumber = 0] =
    after === '' ? [] : [Number.parseInt(after, 10), numberOf(after)]
  const sessions: SessionView[] = []
  const silent: number[] = []
  const workers = workersOf(daemon)
    .filter(({ number }) => number >= from)
    .toSorted((left, right) => left.number - right.number)
  for (const worker of workers) {
    const first = worker.number === from ? afterNumber : 0
    const ask = { do: 'who', filter, after: first, limit: limit - sessions.length } as const
    const found = await worker.ask(ask, whoMs)
    if (found !== undefined) sessions.push(...found)
    else if (!worker.isGone) silent.push(worker.number)
    if (sessions.length >= limit) break
  }
  const last = sessions.length < limit ? undefined : sessions.at(-1)
  return { sessions, silent, ...(last === undefined ? {} : { after: last.session }) }
}

/** Ends a user's sessions; returns when all are gone. */
export async function kick(request: KickRequest, daemon: Daemon): Promise<KickReport> {
  const filter = checked(request, daemon)
  const workers = workersOf(daemon)
  const counts = await Promise.all(
    workers.map((worker) => worker.ask({ do: 'kick', filter }, kickMs)),
  )
  const isSilent = (worker: WorkerProcess, index: number): boolean =>
    counts[index] === undefined && !worker.isGone
  const sessions = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0)
  daemon.log('sessions.kicked', { user: filter.user, sessions })
  return {
    user: filter.user,
    sessions,
    silent: workers.filter(isSilent).map(({ number }) => number),
  }
}
