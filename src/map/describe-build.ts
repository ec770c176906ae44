/** The outcome of a build in one line. */
import type { BuildReport } from './build.ts'

export function describeBuild(report: BuildReport): string {
  const { database, generation, unchanged, users, aliases, rules, patterns } = report
  const state = unchanged ? ', the same as before' : ''
  const counts = [`${users} users`, `${aliases} aliases`, `${rules + patterns} rules`]
  return `${database}: generation ${generation}${state}; ${counts.join(', ')}`
}
