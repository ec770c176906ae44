/** Sendmail aliases(5), as Postfix, Exim and OpenSMTPD have it too. */
import { parseVerdict } from '../sources/parse-value.ts'
import { divideAliasLine, divideTargets, unquote, writeKey } from '../sources/line-grammar.ts'
import { exportedAliases, exportedUsers, notCarried, notCarriedRules } from './export-entries.ts'
import {
  continuedLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
  type TextLine,
} from './map-format.ts'

export const sendmailAliases: MapFormat = {
  name: 'sendmail-aliases',
  summary: 'Sendmail, Postfix, Exim aliases: name: target, target',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of continuedLines(input)) {
    const divided = divideAliasLine(line.text)
    if (divided === undefined) {
      found.note(line, 'it is no alias: name: target, target')
      continue
    }
    const tokens = divideTargets(line.text.slice(divided.column - 1), divided.column)
    const targets = tokens.flatMap(({ text }) => targetOf(text, divided.name, line, found))
    if (targets.length > 0) {
      found.facts.push({ kind: 'alias', at: line.at, name: divided.name, targets })
    }
  }
  return found
}

/** What of a target ours can have; a word that stands for the whole alias makes a user of it. */
function targetOf(written: string, name: string, line: TextLine, found: Findings): string[] {
  const text = unquote(written)
  if (/^[|/]/.test(text)) {
    found.note(line, `${written} runs a program or is a file: a front end has neither`)
    return []
  }
  const [, word = '', said = ''] =
    /^(?::(fail|defer|blackhole|unknown):|(error):)\s*(.*)$/i.exec(text) ?? []
  if (/^:(?:fail|defer):|^error:/i.test(text)) {
    const kind = word.toLowerCase() === 'defer' ? 'defer' : 'reject'
    const verdict = parseVerdict(kind, text.replace(/^:\w+:|^error:/i, ''))
    if ('value' in verdict && (verdict.value.kind === 'reject' || verdict.value.kind === 'defer')) {
      found.facts.push({ kind: 'user', at: line.at, key: name, side: 'both', to: verdict.value })
    } else found.note(line, `${written}: the reply cannot be read: ${said}`)
    return []
  }
  if (/^:(?!include:)/i.test(text)) {
    found.note(line, `${written} has no counterpart: reject or defer it, or name a user`)
    return []
  }
  return [written]
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  const own = `@${map.config.naming.defaultDomain}`
  const localName = (name: string): string | undefined => {
    const local = name.endsWith(own) ? name.slice(0, -own.length) : name
    return local.includes('@') ? undefined : local
  }
  // Exim takes a name in quotes for that of a person, unless a domain follows.
  const toTarget = (target: string): string =>
    target.startsWith('"') && target.endsWith('"') ? target + own : target
  for (const { name, targets } of exportedAliases(map)) {
    const local = localName(name)
    if (local === undefined) yield notCarried(name, 'aliases have no domain')
    else yield `${writeKey(local)}: ${targets.map(toTarget).join(', ')}`
  }
  for (const { name, delivery } of exportedUsers(map)) {
    if (delivery?.kind !== 'forward') continue
    const local = localName(name)
    if (local === undefined) yield notCarried(name, 'aliases have no domain')
    else yield `${writeKey(local)}: ${delivery.address}`
  }
  yield* notCarriedRules(map, 'aliases have no rules')
}
