/**
 * Finds out whether addresses can be listened on before anything is changed, and which port stands
 * for a 0. Addresses that are open already are not tried: they stay as they are.
 */
import type { MailmuxError } from '../base/error.ts'
import type { ListenerConfig } from '../config/config.ts'
import { type Listener, openListener } from '../net/listener.ts'

/** A listener of the config with its real port. */
export interface BoundListener {
  readonly config: ListenerConfig
  /** As the config has it: 0 for any. */
  readonly askedPort: number
}

export async function bindListeners(
  wanted: readonly ListenerConfig[],
  inForce: readonly BoundListener[],
): Promise<{ bound: readonly BoundListener[]; problems: readonly MailmuxError[] }> {
  const unclaimed = [...inForce]
  const bound: BoundListener[] = []
  const problems: MailmuxError[] = []
  // All are kept until the last was tried, so that two of them cannot have the same.
  const opened: Listener[] = []
  for (const config of wanted) {
    const known = unclaimed.findIndex((candidate) => isSame(candidate, config))
    const [open] = known === -1 ? [] : unclaimed.splice(known, 1)
    if (open !== undefined) {
      bound.push({ config: { ...config, port: open.config.port }, askedPort: config.port })
      continue
    }
    try {
      const listener = await openListener(config, (socket) => socket.destroy())
      opened.push(listener)
      bound.push({ config: { ...config, port: listener.port }, askedPort: config.port })
    } catch (error) {
      problems.push(error as MailmuxError)
    }
  }
  for (const listener of opened) listener.close()
  return { bound, problems }
}

/** A fixed address may change its service; which of several free ports is meant, only the service tells. */
function isSame({ config, askedPort }: BoundListener, wanted: ListenerConfig): boolean {
  if (config.host !== wanted.host || askedPort !== wanted.port) return false
  return wanted.port !== 0 || config.service === wanted.service
}
