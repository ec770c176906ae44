/** Lists of networks, which the schema takes for words. */
import type { Problem } from '../base/problem.ts'
import { parseNetwork } from '../mail/network.ts'
import { type Locate, type Path, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'

export function checkNetworks(raw: RawConfig, locate: Locate): Problem[] {
  const check = (list: Path, texts: readonly string[] = [], hint: string): Problem[] =>
    texts.flatMap((text, index) => {
      if (parseNetwork(text) !== undefined) return []
      const path = [...list, index]
      const message = `${path.join('.')}: ${JSON.stringify(text)} is no network`
      return [problem('bad-network', message, locate(path, true), hint)]
    })
  return [
    ...check(
      ['trusted_proxies'],
      raw.trusted_proxies,
      'write 10.0.1.0/24, 2001:db8::/32 or one address',
    ),
    ...check(
      ['limits', 'exempt'],
      raw.limits?.exempt,
      'write 192.0.2.0/24, 2001:db8::/32, or one address',
    ),
  ]
}
