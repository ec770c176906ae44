/** One finding about a text that a person wrote: what was read, where, and what to write instead. */
import { formatPosition, type Position } from './position.ts'

export interface Problem {
  readonly severity: 'error' | 'warning'
  /** Stable name of the kind of finding, such as `duplicate-key`. */
  readonly code: string
  readonly message: string
  readonly at: Position
  readonly hint?: string
}

/** One line: `file:line:column: severity: message; hint`. */
export function formatProblem(problem: Problem): string {
  const hint = problem.hint === undefined ? '' : `; ${problem.hint}`
  return `${formatPosition(problem.at)}: ${problem.severity}: ${problem.message}${hint}`
}
