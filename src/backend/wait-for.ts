/** Waiting by a clock that tests move. */
import type { Clock } from '../base/clock.ts'

/** Resolves after so many monotonic milliseconds. Throws the reason of `signal`. */
export async function waitFor(
  clock: Pick<Clock, 'after'>,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const cancel = clock.after(waitMs, resolve)
  const giveUp = (): void => {
    cancel()
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', giveUp, { once: true })
  await promise.finally(() => signal.removeEventListener('abort', giveUp))
}
