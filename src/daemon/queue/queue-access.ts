/** The queue as commands reach it: through the daemon where one holds the spool, else the spool itself. */
import { stat } from 'node:fs/promises'
import { MailmuxError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { askDaemon } from '../../control/client.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../../mail/queued-message.ts'
import { spoolPlaces } from '../../spool/spool-places.ts'
import { SpoolStore } from '../../spool/spool-store.ts'
import { realDisk } from '../../storage/disk.ts'
import { performOffline } from './queue-requests.ts'
import { systemClock } from '../../backend/system-clock.ts'

const patienceMs = 30_000

/** Throws what either way throws; SPOOL_BUSY where another daemon than that of `run_dir` has the spool. */
export async function askQueue(
  { runDir, stateDir }: Pick<Config, 'runDir' | 'stateDir'>,
  request: QueueRequest,
): Promise<QueuePage | QueueChange> {
  const places = spoolPlaces(stateDir)
  if (!(await isThere(places.directory))) return nothing(request)
  let store: SpoolStore
  try {
    store = await SpoolStore.open(realDisk, places)
  } catch (error) {
    if (!(error instanceof MailmuxError) || error.code !== 'SPOOL_BUSY') throw error
    return askDaemon(runDir, 'queue', patienceMs, { details: request }).catch((second: unknown) => {
      const isSilent = second instanceof MailmuxError && second.code === 'DAEMON_UNREACHABLE'
      throw isSilent ? error : second
    })
  }
  try {
    return await performOffline(request, store, systemClock)
  } finally {
    store[Symbol.dispose]()
  }
}

/** All messages, part by part. */
export async function* listQueue(
  config: Pick<Config, 'runDir' | 'stateDir'>,
): AsyncGenerator<QueuePage['messages'][number], void, undefined> {
  let after: string | undefined
  do {
    const part = { do: 'list', limit: 500, ...(after === undefined ? {} : { after }) } as const
    const page = (await askQueue(config, part)) as QueuePage
    yield* page.messages
    after = page.after
  } while (after !== undefined)
}

/** Of messages that are named. Throws MESSAGE_UNKNOWN with all of which there is none. */
export async function showQueued(
  config: Pick<Config, 'runDir' | 'stateDir'>,
  ids: readonly string[],
): Promise<QueuePage['messages']> {
  const { messages } = (await askQueue(config, { do: 'show', ids })) as QueuePage
  const found = new Set(messages.map(({ id }) => id))
  refuseMissing({ done: [], unreadable: [], unknown: ids.filter((id) => !found.has(id)) })
  return messages
}

/** Throws MESSAGE_UNKNOWN or MESSAGE_UNREADABLE after the others were done with. */
export async function changeQueued(
  config: Pick<Config, 'runDir' | 'stateDir'>,
  request: QueueRequest & { readonly do: 'retry' | 'remove' },
): Promise<QueueChange> {
  const change = (await askQueue(config, request)) as QueueChange
  refuseMissing(change)
  return change
}

function refuseMissing({ unknown, unreadable }: QueueChange): void {
  if (unknown.length > 0) {
    throw new MailmuxError('MESSAGE_UNKNOWN', `no message is called ${unknown.join(', ')}`)
  }
  if (unreadable.length > 0) {
    throw new MailmuxError('MESSAGE_UNREADABLE', `${unreadable.join(', ')} cannot be read`)
  }
}

function nothing(request: QueueRequest): QueuePage | QueueChange {
  if (request.do === 'list' || request.do === 'show') return { messages: [] }
  return { done: [], unknown: request.ids ?? [], unreadable: [] }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
