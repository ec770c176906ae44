/** Which rules can never match, since earlier ones take all that they would. */
import type { Naming } from '../../mail/address.ts'
import type { Match, RuleSource } from '../rule.ts'

export interface Unreachable {
  readonly what: string
  readonly by: RuleSource | undefined
}

/** Undefined where the rule may match something; not every rule without effect is found. */
export function whyUnreachable(
  { match }: RuleSource,
  earlier: readonly RuleSource[],
  naming: Naming,
): Unreachable | undefined {
  const domain = domainOf(match)
  if (domain !== undefined && !naming.domains.has(domain)) {
    return { what: `${domain} is no domain of ours`, by: undefined }
  }
  const by = earlier.find((rule) => covers(rule.match, match))
  if (by !== undefined) return { what: 'an earlier rule takes all that it would', by }
  const taken = new Set(earlier.map((rule) => wholeDomain(rule.match)))
  return [...naming.domains].every((name) => taken.has(name))
    ? { what: 'earlier rules take all our domains', by: earlier.at(-1) }
    : undefined
}

/** The only domain that a match can be in. */
function domainOf(match: Match): string | undefined {
  if (match.kind === 'domain') return match.domain
  const domain = match.kind === 'glob' ? /@([^*?@]+)$/.exec(match.pattern)?.[1] : undefined
  return domain
}

/** The domain that a match takes whole. */
function wholeDomain(match: Match): string | undefined {
  if (match.kind === 'glob' && !match.pattern.startsWith('*@')) return undefined
  return domainOf(match)
}

function covers(earlier: Match, later: Match): boolean {
  if (earlier.kind === 'any' || JSON.stringify(earlier) === JSON.stringify(later)) return true
  if (earlier.kind === 'range' && later.kind === 'range') {
    const [from, to] = [earlier.from.toLowerCase(), earlier.to.toLowerCase()]
    return from <= later.from.toLowerCase() && to >= later.to.toLowerCase()
  }
  const whole = wholeDomain(earlier)
  return whole !== undefined && whole === domainOf(later)
}
