/** What an administrator asks of the queue: of the process that runs it, or of a spool without one. */
import type { Clock } from '../../base/clock.ts'
import { assertNever } from '../../base/never.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../../mail/queued-message.ts'
import {
  listMessages,
  removeMessages,
  retryMessages,
  showMessages,
  type Standings,
} from '../../spool/queue-view.ts'
import type { SpoolStore } from '../../spool/spool-store.ts'
import { codeOf } from '../../spool/spool-fault.ts'
import type { Queue } from './queue.ts'

export async function performRequest(
  request: QueueRequest,
  store: SpoolStore,
  queue: Queue,
  clock: Clock,
): Promise<QueuePage | QueueChange> {
  const wallMs = clock.wall()
  const standings: Standings = {
    wallMs,
    isActive: (id) => queue.entries.get(id)?.state === 'active',
    nextAt(id) {
      const dueAt = queue.entries.get(id)?.dueAt
      return dueAt === undefined ? undefined : wallMs + dueAt - clock.now()
    },
  }
  switch (request.do) {
    case 'list':
      return listMessages(store, standings, request)
    case 'show':
      return showMessages(store, standings, request.ids)
    case 'retry': {
      if (request.ids === undefined) {
        await queue.look()
        queue.retry()
        return { done: [...queue.entries.keys()], unknown: [], unreadable: [] }
      }
      // Some may not have been found yet.
      await queue.notice(request.ids)
      const retry = async (id: string): Promise<boolean> => queue.retry(id)
      const change = await retryMessages(store, request.ids, { wallMs, retry })
      // Those that were in quarantine are to be found in the spool again.
      await queue.notice(change.done)
      return change
    }
    case 'remove':
      await queue.notice(request.ids)
      return removeMessages(store, request.ids, (id) => queue.remove(id))
    default:
      return assertNever(request)
  }
}

/** The same where nothing runs: the caller holds the spool. */
export async function performOffline(
  request: QueueRequest,
  store: SpoolStore,
  clock: Clock,
): Promise<QueuePage | QueueChange> {
  const wallMs = clock.wall()
  const standings: Standings = { wallMs, isActive: () => false, nextAt: () => undefined }
  const retry = (id: string): Promise<boolean> => makeDue(store, id, wallMs)
  switch (request.do) {
    case 'list':
      return listMessages(store, standings, request)
    case 'show':
      return showMessages(store, standings, request.ids)
    case 'retry': {
      const ids = request.ids ?? (await store.contents()).ids
      return retryMessages(store, ids, { wallMs, retry })
    }
    case 'remove':
      return removeMessages(store, request.ids, (id) => removeOne(store, id))
    default:
      return assertNever(request)
  }
}

async function makeDue(store: SpoolStore, id: string, at: number): Promise<boolean> {
  try {
    const file = await store.open(id)
    try {
      await file.append({ do: 'released', at }, 'durable')
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

async function removeOne(store: SpoolStore, id: string): Promise<boolean> {
  try {
    await store.remove(id, 'durable')
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
