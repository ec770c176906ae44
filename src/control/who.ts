/** The sessions of a running daemon, in the order in which a person looks for them. */
import { askDaemon } from './client.ts'
import type { SessionFilter, SessionView, WhoPage, WhoRequest } from './session-messages.ts'

/** Few answers, each of which keeps a worker from its clients for some milliseconds. */
const pageSize = 10_000
const patienceMs = 15_000

export interface Sessions {
  readonly sessions: readonly SessionView[]
  /** Workers that did not answer: theirs are missing. */
  readonly silent: readonly number[]
}

/** Page by page, so that no worker is kept from its clients. Throws what askDaemon throws. */
export async function whoIsThere(runDir: string, filter: SessionFilter): Promise<Sessions> {
  const sessions: SessionView[] = []
  const silent = new Set<number>()
  let details: WhoRequest | undefined = { ...filter, limit: pageSize }
  while (details !== undefined) {
    const page: WhoPage = await askDaemon(runDir, 'who', patienceMs, { details })
    for (const session of page.sessions) sessions.push(session)
    for (const worker of page.silent) silent.add(worker)
    details = page.after === undefined ? undefined : { ...details, after: page.after }
  }
  return { sessions: sessions.sort(inOrder), silent: [...silent] }
}

/** By user, those of nobody last; of one user by service, the oldest first. */
function inOrder(left: SessionView, right: SessionView): number {
  return (
    compare(left.user ?? '\uffff', right.user ?? '\uffff') ||
    compare(left.service, right.service) ||
    right.duration_ms - left.duration_ms
  )
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
