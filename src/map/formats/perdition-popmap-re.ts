/** Perdition's popmap.re: POSIX extended expressions, the first that matches. */
import { notCarriedRules } from './export-entries.ts'
import type { RuleSource } from '../rule.ts'
import {
  entryLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { printLogin, readLogin } from './perdition-popmap.ts'

export const perditionPopmapRe: MapFormat = {
  name: 'perdition-popmap-re',
  summary: 'Perdition popmap.re: expression: [user@]host[:port]',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of entryLines(input)) {
    const [, expression, value = ''] = /^(\S.*?):?\s+(\S+)\s*$/s.exec(line.text) ?? []
    const to = readLogin(value)
    if (expression === undefined || to === undefined) {
      found.note(line, 'it is not expression: [user@]host[:port]')
    } else found.facts.push({ kind: 'pattern', at: line.at, expression, to })
  }
  return found
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  const carried = new Set<string>()
  for (const { pattern, backend, login, text } of map.patterns) {
    const value = printLogin(map, { backend, ...(login === undefined ? {} : { login }) })
    if (value === undefined) continue
    carried.add(text)
    yield `${pattern}:\t${value}`
  }
  for (const rule of map.rules) {
    const expression = expressionOf(rule)
    const { destination } = rule
    const value = destination.kind === 'backend' ? printLogin(map, destination) : undefined
    if (expression === undefined || value === undefined) continue
    carried.add(rule.text)
    yield `${expression}:\t${value}`
  }
  yield* notCarriedRules(map, 'it is no expression that POSIX has', (text) => carried.has(text))
}

function expressionOf({ match }: RuleSource): string | undefined {
  switch (match.kind) {
    case 'any':
      return '.*'
    case 'domain':
      return `@${escape(match.domain)}$`
    case 'range':
      return /^(?:[a-z]{2}|\d{2})$/i.test(match.from + match.to)
        ? `^[${match.from}-${match.to}]`
        : undefined
    case 'glob':
      return `^${escape(match.pattern).replaceAll(String.raw`\*`, '.*').replaceAll(String.raw`\?`, '.')}${match.pattern.includes('@') ? '' : '@'}`
    case 'regex':
      // What RE2 has beyond POSIX begins with a backslash and a letter, or (?.
      return /\\[A-Za-z]|\(\?|[*+?}]\?/.test(match.pattern) ? undefined : match.pattern
    default:
      return match satisfies never
  }
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
