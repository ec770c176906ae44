/** The map file of Stalwart's proxy: identifier, tab, destination; exact entries only. */
import { addressesOfName, exportedLogins, notCarried, notCarriedRules } from './export-entries.ts'
import {
  entryLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { readServer } from './server-text.ts'

export const stalwartTsv: MapFormat = {
  name: 'stalwart-tsv',
  summary: 'Stalwart proxy: identifier, tab, destination',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of entryLines(input)) {
    const [key = '', value = '', more] = line.text.trimEnd().split('\t')
    const server = readServer(value)
    if (key === '' || server === undefined || more !== undefined) {
      found.note(line, 'it is not identifier, tab, destination')
      continue
    }
    // A bare name is the same user in the default domain.
    const to = { kind: 'server', server } as const
    found.facts.push({ kind: 'user', at: line.at, key, side: 'both', to })
  }
  return found
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const user of exportedLogins(map)) {
    if ('reason' in user) {
      yield user
      continue
    }
    const { name, delivery, retrieval } = user
    const value = retrieval ?? delivery
    if (value === undefined || !('backend' in value)) continue
    if (value.kind === 'rename') yield notCarried(name, `its name ${value.login} there has no form`)
    if (delivery !== undefined && 'backend' in delivery && delivery.backend !== value.backend) {
      yield notCarried(name, `its mail goes to ${delivery.backend}: one destination has a form`)
    }
    const names = name.includes('@') ? [name] : [name, ...addressesOfName(map, name)]
    for (const identifier of names) yield `${identifier}\t${value.backend}`
  }
  yield* notCarriedRules(map, 'it has exact entries only')
}
