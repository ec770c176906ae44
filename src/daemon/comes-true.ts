/** Waits for what no single event tells: it is looked at often, and not for long. */
import { setTimeout as delay } from 'node:timers/promises'

const lookEveryMs = 10

/** Whether it came true within that time. */
export async function comesTrue(isSo: () => boolean, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs
  while (!isSo()) {
    if (performance.now() > until) return false
    await delay(lookEveryMs)
  }
  return true
}
