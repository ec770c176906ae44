/** Postfix relay_recipient_maps: every address that is taken. */
import { bareKey } from '../key.ts'
import type { Entry } from '../place.ts'
import {
  addressesOfName,
  exportedAliases,
  exportedUsers,
  hasDelivery,
  hasTargets,
  notCarriedRules,
} from './export-entries.ts'
import {
  continuedLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { divideEntry, printKey } from './postfix-key.ts'
import { readServer } from './server-text.ts'

export const postfixRelayRecipients: MapFormat = {
  name: 'postfix-relay-recipients',
  summary: 'Postfix relay_recipient_maps: address, blank, anything (import: --backend)',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  const server = input.backend === undefined ? undefined : readServer(input.backend)
  for (const line of continuedLines(input)) {
    const { key } = divideEntry(line.text)
    if (server === undefined) found.note(line, 'it names no server: say which with --backend')
    else if (key.startsWith('@')) {
      found.facts.push({ kind: 'rule', at: line.at, match: key, to: { kind: 'server', server } })
    } else {
      const to = { kind: 'server', server } as const
      found.facts.push({ kind: 'user', at: line.at, key, side: 'both', to })
    }
  }
  return found
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const { name, delivery } of exportedUsers(map)) {
    if (delivery === undefined || delivery.kind === 'reject') continue
    for (const address of addressesOfName(map, name, hasDelivery)) yield `${printKey(address)}\tOK`
  }
  for (const { name } of exportedAliases(map)) {
    const isTold = (entry: Entry): boolean => hasTargets(entry) || takesMail(entry)
    if (takesMail(map.find(name.includes('@') ? name : bareKey(name)))) continue
    for (const address of addressesOfName(map, name, isTold)) yield `${printKey(address)}\tOK`
  }
  for (const { match, destination } of map.rules) {
    if (match.kind === 'domain' && destination.kind !== 'reject') yield `@${match.domain}\tOK`
  }
  const domains = map.rules.filter(({ match }) => match.kind === 'domain').map(({ text }) => text)
  yield* notCarriedRules(map, 'it has addresses and domains only', (text) => domains.includes(text))
}

function takesMail(entry: Entry | undefined): boolean {
  return entry?.delivery !== undefined && entry.delivery.kind !== 'reject'
}
