/** Postfix relocated(5): who has moved, and where to. */
import { addressesOfName, exportedUsers, hasDelivery, notCarried } from './export-entries.ts'
import {
  continuedLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { divideEntry, printKey } from './postfix-key.ts'

export const postfixRelocated: MapFormat = {
  name: 'postfix-relocated',
  summary: 'Postfix relocated: address, blank, new address',
  parse,
  print,
}

const moved = 'User has moved to '

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of continuedLines(input)) {
    const { key, value: text } = divideEntry(line.text)
    if (text === '' || !/^[\u0020-\u007e]{1,380}$/.test(text)) {
      found.note(line, 'it says no new address in ASCII')
      continue
    }
    const to = { kind: 'reject', code: 550, status: '5.1.6', text: moved + text } as const
    found.facts.push({ kind: 'user', at: line.at, key, side: 'both', to })
  }
  return found
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const { name, delivery } of exportedUsers(map)) {
    if (delivery?.kind !== 'reject') continue
    const text = delivery.text.startsWith(moved) ? delivery.text.slice(moved.length) : undefined
    if (delivery.status !== '5.1.6' || text === undefined) {
      yield notCarried(name, `${delivery.status} ${delivery.text} says no new address`)
    } else
      for (const address of addressesOfName(map, name, hasDelivery))
        yield `${printKey(address)}\t${text}`
  }
}
