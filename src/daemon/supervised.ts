/** What every child of the supervisor does as a process: it answers, and it ends with it. */
import type { Ask, FromWorker, Replies, ToWorker } from './channel.ts'
import { ownVersion } from './own-version.ts'

export interface Supervised {
  perform(ask: Ask): Promise<Replies[Ask['do']]>
  /** A fault of ours: nothing can be relied on any more. */
  fail(error: unknown): void
  /** Writes the log out, in place. */
  flush(): void
}

export function serveSupervisor(child: Supervised): void {
  // Terminals and init systems signal the whole group; the supervisor decides what it means.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  process.on('uncaughtException', (error) => child.fail(error))
  process.on('unhandledRejection', (error) => child.fail(error))
  process.on('exit', () => child.flush())
  process.on('message', (message: ToWorker) => void answer(child, message))
  tell({ kind: 'hello', version: ownVersion() })
}

/** Answers that wait for sessions to end: who asked hears of it before the process is gone. */
const awaited = new Set<Promise<void>>()

async function answer(child: Supervised, { id, ask }: ToWorker): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (ask.do === 'kick' || ask.do === 'freeze') awaited.add(promise)
  const reply = await child.perform(ask)
  if (ask.do === 'stop') await Promise.all(awaited)
  tell({ kind: 'reply', id, reply }, () => {
    awaited.delete(promise)
    resolve()
    if (ask.do === 'stop') process.exit(0)
  })
}

/** Calls `sent` when the message is on its way, also where the supervisor is gone. */
export function tell(message: FromWorker, sent: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, {}, () => sent())
  else sent()
}
