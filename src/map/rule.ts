/** Rules and patterns: as data (what the database keeps) and ready to be matched. */
import { RE2JS } from 're2js'
import type { Position } from '../base/position.ts'
import type { Address } from '../mail/address.ts'
import { makeChooser, type Share } from './rendezvous.ts'
import type { Value } from './value.ts'

export type Match =
  /** First character of the local part, ASCII letters in either case; both ends included. */
  | { readonly kind: 'range'; readonly from: string; readonly to: string }
  /** RE2 syntax, found anywhere in the canonical address; in linear time whatever its text. */
  | { readonly kind: 'regex'; readonly pattern: string }
  /** `*` and `?`; against the whole address if it has an `@`, else the local part. */
  | { readonly kind: 'glob'; readonly pattern: string }
  | { readonly kind: 'domain'; readonly domain: string }
  | { readonly kind: 'any' }

export type Destination =
  | Extract<Value, { readonly kind: 'backend' | 'reject' | 'defer' }>
  | { readonly kind: 'hash'; readonly shares: readonly Share[] }

/** The back-ends that a rule may send users to. */
export function backendsOf(destination: Destination): string[] {
  if (destination.kind === 'hash') return destination.shares.map(({ backend }) => backend)
  return destination.kind === 'backend' ? [destination.backend] : []
}

export interface RuleSource {
  readonly match: Match
  readonly destination: Destination
  readonly at: Position
  /** The line as it was written, for a person. */
  readonly text: string
}

/** A line of a popmap that stands for many logins: `login` may hold $1 to $9. */
export interface PatternSource {
  readonly pattern: string
  readonly backend: string
  readonly login: string | undefined
  readonly at: Position
  readonly text: string
}

/** `*@domain` of a pattern that is one; in some files its text has the value too. */
export function wildcardOf({ text }: PatternSource): string | undefined {
  return /^\*@[^\s:]+/.exec(text)?.[0]
}

export interface Rule extends RuleSource {
  matches(address: Address): boolean
  /** What the rule says of a user that it matches. */
  valueFor(user: string): Value
}

export interface Pattern extends PatternSource {
  readonly groupCount: number
  /** The name to use at the back-end; undefined where the pattern does not match. */
  loginFor(key: string): string | undefined
}

/** Throws RE2JSException where a pattern is not supported. */
export function compileRule(source: RuleSource): Rule {
  return { ...source, matches: matcherOf(source.match), valueFor: valueOf(source.destination) }
}

function valueOf(destination: Destination): (user: string) => Value {
  if (destination.kind !== 'hash') return () => destination
  const choose = makeChooser(destination.shares)
  return (user) => ({ kind: 'backend', backend: choose(user) })
}

function matcherOf(match: Match): (address: Address) => boolean {
  switch (match.kind) {
    case 'range': {
      const from = match.from.toLowerCase()
      const to = match.to.toLowerCase()
      return ({ user }) => {
        const first = String.fromCodePoint(user.codePointAt(0) ?? 0).toLowerCase()
        return first >= from && first <= to
      }
    }
    case 'regex': {
      const expression = RE2JS.compile(match.pattern)
      return ({ key }) => expression.test(key)
    }
    case 'glob': {
      const expression = RE2JS.compile(globToPattern(match.pattern))
      const whole = match.pattern.includes('@')
      return ({ key, user }) => expression.test(whole ? key : user)
    }
    case 'domain':
      return ({ domain }) => domain === match.domain
    case 'any':
      return () => true
    default:
      return match satisfies never
  }
}

function globToPattern(glob: string): string {
  const pattern = glob.replace(/[^\p{L}\p{N}]/gu, (character) => {
    if (character === '*') return '.*'
    return character === '?' ? '.' : `\\${character}`
  })
  return `(?s)^${pattern}$`
}

/** Throws RE2JSException where the pattern is not supported. */
export function compilePattern(source: PatternSource): Pattern {
  // POSIX: of the matches that begin first, the longest.
  const expression = RE2JS.compile(source.pattern, RE2JS.LONGEST_MATCH)
  const { login } = source
  return {
    ...source,
    groupCount: expression.groupCount(),
    loginFor(key) {
      const matcher = expression.matcher(key)
      if (!matcher.find()) return undefined
      if (login === undefined) return key
      return login.replace(/\$([1-9])/g, (_, digit: string) => matcher.group(Number(digit)) ?? '')
    },
  }
}
