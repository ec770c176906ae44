/**
 * Frees the buffers of messages that have been passed on. They are outside of V8's heap: nothing in it
 * grows by them, so that it would not look for dead ones until dozens of MiB have come together, and
 * would then mark everything that lives. Those of the last few MiB are found in a millisecond.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** More seldom, and more memory is held; more often, and buffers in use are taken for lasting ones. */
const everyBytes = 8 * 1024 * 1024

type Collect = (options: { readonly type: 'minor' }) => void

let spentBytes = 0
let collect: Collect | undefined

/** So many octets more have been read, by whichever mailbox of this process. */
export function octetsSpent(bytes: number): void {
  spentBytes += bytes
  if (spentBytes < everyBytes) return
  spentBytes = 0
  collect ??= exposedCollector()
  collect({ type: 'minor' })
}

/** V8 shows it to contexts that are made while it is told to. */
function exposedCollector(): Collect {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('globalThis.gc')
  setFlagsFromString('--no-expose-gc')
  return typeof found === 'function' ? (found as Collect) : () => undefined
}
