/** Collects what is found in the sources: every finding is counted, the first ones are kept. */
import { type ErrorCode, MailmuxError } from '../base/error.ts'
import type { Position } from '../base/position.ts'
import { formatProblem, type Problem } from '../base/problem.ts'

/** How many findings of each severity are kept for printing: more would help nobody. */
export const keptProblems = 100

export class Problems {
  errors = 0
  warnings = 0
  readonly #errors: Problem[] = []
  readonly #warnings: Problem[] = []

  error(code: string, at: Position, message: string, hint?: string): void {
    this.#add('error', { code, at, message, hint })
  }

  warn(code: string, at: Position, message: string, hint?: string): void {
    this.#add('warning', { code, at, message, hint })
  }

  /** Counts a finding that there is no room to keep; true where there was none. */
  countOnly(severity: Problem['severity']): boolean {
    const kept = severity === 'error' ? this.#errors : this.#warnings
    if (kept.length < keptProblems) return false
    if (severity === 'error') this.errors++
    else this.warnings++
    return true
  }

  #add(
    severity: Problem['severity'],
    { code, at, message, hint }: Omit<Problem, 'severity' | 'hint'> & { hint: string | undefined },
  ): void {
    const kept = severity === 'error' ? this.#errors : this.#warnings
    if (severity === 'error') this.errors++
    else this.warnings++
    if (kept.length === keptProblems) return
    kept.push({ severity, code, message, at, ...(hint === undefined ? {} : { hint }) })
  }

  /** The findings that were kept, errors first, each severity in the order of the sources. */
  list(): Problem[] {
    return [...this.#errors, ...this.#warnings].toSorted((one, other) =>
      one.severity === other.severity ? compareAt(one.at, other.at) : 0,
    )
  }

  /** The kept warnings. */
  listWarnings(): Problem[] {
    return this.#warnings.toSorted((one, other) => compareAt(one.at, other.at))
  }
}

function compareAt(one: Position, other: Position): number {
  if (one.file !== other.file) return one.file < other.file ? -1 : 1
  return one.line - other.line || one.column - other.column
}

/** The sources cannot be compiled: all that was found, for a person and for `--json`. */
export class MapProblems extends MailmuxError {
  readonly problems: readonly Problem[]
  /** Counts of everything found, also what is not in `problems`. */
  readonly errors: number
  readonly warnings: number

  constructor(found: Problems) {
    const problems = found.list()
    const summary = `${countOf(found.errors, 'error')}, ${countOf(found.warnings, 'warning')}${
      found.errors + found.warnings > problems.length ? `; the first ${problems.length} shown` : ''
    }`
    super(codeOf(problems), [...problems.map(formatProblem), `map sources: ${summary}`].join('\n'))
    this.problems = problems
    this.errors = found.errors
    this.warnings = found.warnings
  }
}

/** Where nothing else is wrong than that sources cannot be had, the code says so. */
function codeOf(problems: readonly Problem[]): ErrorCode {
  const codes = new Set(
    problems.filter(({ severity }) => severity === 'error').map(({ code }) => code),
  )
  if (codes.size === 0 || !codes.isSubsetOf(new Set(['unreadable', 'unavailable']))) {
    return 'MAP_INVALID'
  }
  return codes.has('unreadable') ? 'MAP_SOURCE_UNREADABLE' : 'MAP_SOURCE_UNAVAILABLE'
}

function countOf(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
