/** What the sources were seen to name while they were read: back-ends and domains. */
import type { Naming } from '../mail/address.ts'
import type { ParsedKey } from './key.ts'
import { type PatternSource, type RuleSource, wildcardOf } from './rule.ts'
import type { Value } from './value.ts'

export class Usage {
  /** Back-ends that lines of one user name, by source. */
  readonly byUsers = { user_map: new Set<string>(), popmap: new Set<string>() }
  /** Domains of keys. */
  readonly domains = new Set<string>()
  /** A rule or a pattern stands for every domain. */
  hasEveryDomain = false

  /** Of a bare key the database itself tells. */
  noteKey({ address, bare }: Extract<ParsedKey, { readonly key: string }>): void {
    if (!bare) this.domains.add(address.domain)
  }

  noteValue(source: 'user_map' | 'popmap', value: Value): void {
    if ('backend' in value) this.byUsers[source].add(value.backend)
  }

  noteRule({ match }: RuleSource): void {
    const domain = match.kind === 'domain' ? match.domain : domainOfGlob(match)
    if (domain === undefined) this.hasEveryDomain = true
    else this.domains.add(domain)
  }

  /** An expression of popmap reaches the domains that an address of them may be found in. */
  notePattern(pattern: PatternSource, naming: Naming): void {
    const domain = wildcardOf(pattern)?.slice(2).toLowerCase()
    if (domain !== undefined && naming.domains.has(domain)) this.domains.add(domain)
    else this.hasEveryDomain = true
  }
}

function domainOfGlob(match: RuleSource['match']): string | undefined {
  return match.kind === 'glob' ? /@([^*?@]+)$/.exec(match.pattern)?.[1] : undefined
}
