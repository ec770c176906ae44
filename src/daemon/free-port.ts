/** Where any port will do, another program may take the one that was found before workers have it. */
import type { LoadedSettings } from './load-settings.ts'
import { formatAddress } from './settings.ts'

/** Why settings were not taken. */
export interface Refused {
  readonly problems: readonly string[]
  readonly hasLostFreePort: boolean
}

export const freePortAttempts = 4

export function hasLostFreePort({ bound }: LoadedSettings, problems: readonly string[]): boolean {
  return bound.some(({ config, askedPort }) => {
    const address = formatAddress(config)
    return askedPort === 0 && problems.some((problem) => problem.startsWith(`${address}: `))
  })
}
