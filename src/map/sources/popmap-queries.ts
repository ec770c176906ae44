/** Keys of popmap where the config has a `query_key`: any text that one of its templates makes. */
import { canonicalQuery, type QueryKey, queryReader } from '../../mail/query-key.ts'
import { keyLimitBytes, type ParsedKey, queryKey } from '../key.ts'
import type { SourceContext } from './source-context.ts'

export type ReadQuery = (text: string) => ParsedKey & { readonly isUnreachable?: boolean }

export function readQueries(keys: readonly QueryKey[], context: SourceContext): ReadQuery {
  const { naming, usage } = context
  const read = queryReader(keys, naming)
  return (text) => {
    const query = canonicalQuery(text, naming)
    const key = queryKey(query)
    if (text === '' || Buffer.byteLength(key) > keyLimitBytes) {
      return { refused: text === '' ? 'the key is empty' : 'the key is too long', hint: undefined }
    }
    const asked = read(query)
    const { user = '', domain } = asked ?? { domain: naming.defaultDomain }
    if (domain === undefined) usage.hasEveryDomain = true
    const own = domain ?? naming.defaultDomain
    const address = { local: user, user, detail: undefined, domain: own, key: `${user}@${own}` }
    return { key, address, bare: domain === undefined, isUnreachable: asked === undefined }
  }
}
