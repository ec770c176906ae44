/** The outcome of a build in one line. */
import { counted } from '../base/counted.ts'
import type { BuildReport } from './build.ts'

export function describeBuild(report: BuildReport): string {
  const { database, generation, unchanged, users, aliases, rules, patterns } = report
  const state = unchanged ? ', the same as before' : ''
  const counts = [
    counted(users, 'user'),
    counted(aliases, 'alias', 'aliases'),
    counted(rules + patterns, 'rule'),
  ]
  return `${database}: generation ${generation}${state}; ${counts.join(', ')}`
}
