/** A map file of HAProxy: key, blank, name of a back-end. */
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

export const haproxyMap: MapFormat = {
  name: 'haproxy-map',
  summary: 'HAProxy map file: login, blank, back-end',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of entryLines(input)) {
    const [key = '', value = '', more] = line.text.trim().split(/\s+/)
    const server = readServer(value)
    if (server === undefined || more !== undefined) {
      found.note(line, 'it is not a login and a back-end')
    } else {
      const to = { kind: 'server', server } as const
      found.facts.push({ kind: 'user', at: line.at, key, side: 'retrieval', to })
    }
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
    yield `${name} ${backend}`
    if (isRenamed) yield notCarried(name, `its name ${login} there has no form here`)
  }
  yield* notCarriedRules(map, 'a map file has no rules')
}
