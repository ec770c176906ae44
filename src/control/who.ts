/** The sessions of a running daemon, in the order in which a person looks for them. */
import { askDaemon } from './client.ts'
import type { SessionFilter, SessionView } from './session-messages.ts'

const pageSize = 2000
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
  for (let after: string | undefined = ''; after !== undefined; ) {
    const details = { ...filter, limit: pageSize, ...(after === '' ? {} : { after }) }
    const page: Awaited<ReturnType<typeof askPage>> = await askPage(runDir, details)
    sessions.push(...page.sessions)
    for (const worker of page.silent) silent.add(worker)
    after = page.after
  }
  return { sessions: sessions.sort(inOrder), silent: [...silent] }
}

function askPage(runDir: string, details: SessionFilter & { readonly limit: number }) {
  return askDaemon(runDir, 'who', patienceMs, { details })
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
