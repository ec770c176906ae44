/** What the database keeps as JSON: everything that is small. */
import type { QueryKey } from '../../mail/query-key.ts'
import type { PatternSource, RuleSource } from '../rule.ts'
import type { Value } from '../value.ts'

export interface Meta {
  /** Distinct values of users, numbered from 1. */
  readonly values: readonly Value[]
  /** Numbers of the values for delivery and retrieval, 0: none; numbered from 1. */
  readonly pairs: readonly (readonly [number, number])[]
  readonly rules: readonly RuleSource[]
  readonly patterns: readonly PatternSource[]
  /** Absent where popmap is asked for addresses. */
  readonly queryKeys?: readonly QueryKey[]
  readonly smarthost: string | null
  readonly backends: readonly { readonly name: string; readonly host: string }[]
  readonly domains: readonly string[]
  /** Source files by number. */
  readonly files: readonly string[]
}
