/** Postfix virtual(5). */
import { bareKey } from '../key.ts'
import {
  addressesOfName,
  exportedAliases,
  exportedUsers,
  hasDelivery,
  hasTargets,
  notCarried,
  notCarriedRules,
  withDomain,
} from './export-entries.ts'
import {
  continuedLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
  type TextLine,
} from './map-format.ts'
import { divideEntry, printKey } from './postfix-key.ts'

export const postfixVirtual: MapFormat = {
  name: 'postfix-virtual',
  summary: 'Postfix virtual: address, blank, address, address',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of continuedLines(input)) {
    const { key, value } = divideEntry(line.text)
    const targets = value.match(/"(?:[^"\\]|\\.)*"[^\s,]*|[^\s,]+/g) ?? []
    if (key === '' || targets.length === 0) found.note(line, 'it has no address to go to')
    else if (key.startsWith('@')) takeCatchAll(line, key, targets, found)
    else if (targets.some((target) => /^[@|/:]/.test(target))) {
      found.note(line, 'a target is no address')
    } else if (!key.includes('@') && key.includes('.') && targets.length === 1) {
      // `example.com  anything` declares a domain.
      found.note(line, 'it declares a domain: add it to domains in the config')
    } else found.facts.push({ kind: 'alias', at: line.at, name: key, targets })
  }
  return found
}

/** `@other` as a value keeps the name. */
function takeCatchAll(
  line: TextLine,
  key: string,
  [target = '', second]: readonly string[],
  found: Findings,
): void {
  if (second !== undefined || /^[|/:]/.test(target)) {
    found.note(line, 'a whole domain goes to one address')
    return
  }
  const address = target.startsWith('@') ? `%1${target}` : target
  const to = { kind: 'forward', address } as const
  found.facts.push({ kind: 'user', at: line.at, key, side: 'both', to })
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const { name, targets } of exportedAliases(map)) {
    const value = targets.map((target) => withDomain(map, target)).join(', ')
    for (const address of addressesOfName(map, name, hasTargets))
      yield `${printKey(address)}\t${value}`
  }
  for (const { name, delivery } of exportedUsers(map)) {
    if (delivery?.kind === 'forward') {
      yield* printForward(map, name, delivery.address)
    } else if (delivery?.kind === 'rename') {
      yield notCarried(name, `its name ${delivery.login} at ${delivery.backend} is no address`)
    }
  }
  yield* notCarriedRules(map, 'virtual has no rules: see postfix-transport')
}

/** Of mail the alias of a name decides, and one name has one line. */
function* printForward(
  map: ExportedMap,
  name: string,
  target: string,
): Generator<Printed, void, undefined> {
  const value = target.replace(/^%1(?=@[^%]*$)/, '')
  if (value.includes('%')) {
    yield notCarried(name, `${target} has parts of names`)
    return
  }
  for (const address of addressesOfName(map, name, hasDelivery)) {
    yield isAlias(map, address)
      ? notCarried(address, 'the alias of that name goes first')
      : `${printKey(address)}\t${value}`
  }
}

function isAlias({ find }: ExportedMap, address: string): boolean {
  const bare = bareKey(address.slice(0, address.lastIndexOf('@')))
  return find(address)?.targets !== undefined || find(bare)?.targets !== undefined
}
