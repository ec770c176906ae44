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
  const together = coverTogether(earlier, match)
  if (together !== undefined) return { what: 'earlier rules take all that it would', by: together }
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
  const range = rangeOf(earlier)
  const firsts = firstsOf(later)
  if (range !== undefined && firsts !== undefined) {
    return range.from <= firsts.from && range.to >= firsts.to
  }
  if (earlier.kind === 'glob' && later.kind === 'glob') {
    return globCovers(earlier.pattern, later.pattern)
  }
  const whole = wholeDomain(earlier)
  return whole !== undefined && whole === domainOf(later)
}

interface Range {
  readonly from: string
  readonly to: string
}

/** As a range compares: one character each, in lower case. */
function rangeOf(match: Match): Range | undefined {
  if (match.kind !== 'range') return undefined
  return { from: match.from.toLowerCase(), to: match.to.toLowerCase() }
}

/** The first characters that local parts of a match have, where they are a range. */
function firstsOf(match: Match): Range | undefined {
  if (match.kind !== 'glob') return rangeOf(match)
  const first = String.fromCodePoint(match.pattern.codePointAt(0) ?? 0).toLowerCase()
  return first === '*' || first === '?' || first === '@' ? undefined : { from: first, to: first }
}

/** The last of several ranges that only together take all that a later one would. */
function coverTogether(earlier: readonly RuleSource[], match: Match): RuleSource | undefined {
  const firsts = firstsOf(match)
  if (firsts === undefined) return undefined
  let next = firsts.from
  for (;;) {
    const by = earlier.find((rule) => {
      const range = rangeOf(rule.match)
      return range !== undefined && range.from <= next && range.to >= next
    })
    const range = by && rangeOf(by.match)
    if (by === undefined || range === undefined) return undefined
    if (range.to >= firsts.to) return by
    next = String.fromCodePoint((range.to.codePointAt(0) ?? 0) + 1)
  }
}

/** True where every text of the later glob is one of the earlier's too; found in most cases. */
function globCovers(earlier: string, later: string): boolean {
  const isWhole = earlier.includes('@')
  const [local = ''] = later.split('@')
  if (!isWhole) return matchesAsText(Array.from(earlier), Array.from(local))
  return later.includes('@') && matchesAsText(Array.from(earlier), Array.from(later))
}

/** Matches a glob with a pattern whose own wildcards only an equal or wider one takes. */
function matchesAsText(glob: readonly string[], text: readonly string[]): boolean {
  let reached = new Set([0])
  const close = (places: Set<number>): Set<number> => {
    for (const place of places) if (glob[place] === '*') places.add(place + 1)
    return places
  }
  reached = close(reached)
  for (const character of text) {
    const next = new Set<number>()
    for (const place of reached) {
      const own = glob[place]
      if (own === '*') next.add(place)
      else if (own === character || (own === '?' && character !== '*')) next.add(place + 1)
    }
    reached = close(next)
  }
  return reached.has(glob.length)
}
