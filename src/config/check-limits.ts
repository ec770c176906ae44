/** What the schema cannot say of limits: networks must be networks. */
import type { Problem } from '../base/problem.ts'
import { parseNetwork } from '../mail/network.ts'
import { type Locate, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'

export function checkLimits(raw: RawConfig, locate: Locate): Problem[] {
  const exempt = raw.limits?.exempt ?? []
  return exempt.flatMap((text, index) => {
    if (parseNetwork(text) !== undefined) return []
    const message = `limits.exempt.${index}: ${JSON.stringify(text)} is no network`
    const hint = 'write 192.0.2.0/24, 2001:db8::/32, or one address'
    return [problem('bad-network', message, locate(['limits', 'exempt', index], true), hint)]
  })
}
