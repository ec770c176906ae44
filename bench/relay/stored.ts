/** What has arrived at the stand-in back-end. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Rig, storedAt } from '../rig/rig.ts'

/** A relay with a queue has answered before the back-end has them; its work counts too. */
export async function allStored(rig: Rig, count: number): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const stored = await storedAt(rig)
    if (stored > count) throw new Error(`${stored} messages arrived of ${count}`)
    if (stored === count) return
    await delay(100)
  }
  throw new Error(`only ${await storedAt(rig)} of ${count} messages arrived`)
}
