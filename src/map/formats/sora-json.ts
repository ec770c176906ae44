/** Answers of a remote lookup of Sora, one object a line or a list of them. */
import { exportedLogins, notCarried, notCarriedRules } from './export-entries.ts'
import { jsonObjects } from './json-objects.ts'
import {
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { printLogin } from './perdition-popmap.ts'
import { readServer } from './server-text.ts'

export const soraJson: MapFormat = {
  name: 'sora-json',
  summary: 'Sora remote_lookup: {"address", "server", …}, a line each or as a list',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const { value, at } of jsonObjects(input, found)) {
    const { address, server: text, password_hash: hash } = value
    const server = typeof text === 'string' ? readServer(text, 'imap') : undefined
    if (typeof address !== 'string' || server === undefined) {
      found.note(
        { text: typeof address === 'string' ? address : '', at },
        'it has no address and server',
      )
      continue
    }
    if (hash !== undefined) {
      found.note({ text: address, at }, 'its password stays with the back-end, which checks it')
    }
    const to = { kind: 'server', server } as const
    found.facts.push({ kind: 'user', at, key: address, side: 'retrieval', to })
  }
  return found
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const found of exportedLogins(map, 'addresses')) {
    if ('reason' in found) {
      yield found
      continue
    }
    const { name: address, backend, login, isRenamed } = found
    const server = printLogin(map, { backend })
    if (isRenamed) yield notCarried(address, `its name ${login} there has no form`)
    yield server === undefined
      ? notCarried(address, `${backend} has no port for logins`)
      : JSON.stringify({ address, server })
  }
  yield* notCarriedRules(map, 'it has users only')
}
