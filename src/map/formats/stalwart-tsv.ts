/** The map file of Stalwart's proxy: identifier, tab, destination; exact entries only. */
import { bareKey } from '../key.ts'
import { exportedLogins, notCarried, notCarriedRules } from './export-entries.ts'
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
  for (const found of exportedLogins(map, 'name and addresses')) {
    if ('reason' in found) {
      yield found
      continue
    }
    const { name, backend, login, isRenamed } = found
    const mail = map.find(name.includes('@') ? name : bareKey(name))?.delivery
    if (isRenamed) yield notCarried(name, `its name ${login} there has no form`)
    if (mail !== undefined && 'backend' in mail && mail.backend !== backend) {
      yield notCarried(name, `its mail goes to ${mail.backend}: one destination has a form`)
    }
    yield `${name}\t${backend}`
  }
  yield* notCarriedRules(map, 'it has exact entries only')
}
