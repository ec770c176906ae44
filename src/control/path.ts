/** Where the control socket of a daemon is. */
import { join } from 'node:path'

export function controlPath(runDir: string): string {
  return join(runDir, 'control.sock')
}
