/** The map as it would be after a change, to see what the change would break before it is made. */
import { formatPosition } from '../../base/position.ts'
import { type Address, type Naming, parseAddress } from '../../mail/address.ts'
import { addressesOf } from '../alias-check.ts'
import { Expansion, type ExpansionFault } from '../expand.ts'
import { isTemplate } from '../fill-in.ts'
import { isCatchAll, isWide, nameOf, parseKey } from '../key.ts'
import type { MapRecord } from '../map-record.ts'
import type { TracingReader } from '../open.ts'
import { type Entry, findTargets, climb, type Lookup, placeMail, type Scope } from '../place.ts'

export class Candidate implements Lookup {
  readonly rules
  readonly patterns
  readonly queryKeys
  readonly smarthost
  readonly #lookup: Lookup
  readonly #changed: ReadonlyMap<string, Entry | undefined>

  constructor(lookup: Lookup, changed: ReadonlyMap<string, Entry | undefined>) {
    this.rules = lookup.rules
    this.patterns = lookup.patterns
    this.queryKeys = lookup.queryKeys
    this.smarthost = lookup.smarthost
    this.#lookup = lookup
    this.#changed = changed
  }

  readonly hasBareKeys = true
  readonly hasWideKeys = true
  readonly hasAliases = true

  find(key: string): Entry | undefined {
    return this.#changed.has(key) ? this.#changed.get(key) : this.#lookup.find(key)
  }
}

/** What is wrong with mail for a key; undefined where nothing is. */
export function faultOf(key: string, lookup: Lookup, naming: Naming): ExpansionFault | undefined {
  // Where parts of names lead is known only when there is a name.
  const value = isWide(key) ? lookup.find(key)?.delivery : undefined
  if (value?.kind === 'forward' && isTemplate(value.address)) return undefined
  for (const address of addressesOf(key, naming)) {
    const fault = faultOfMail(address, lookup, naming)
    if (fault !== undefined) return fault
  }
  return undefined
}

function faultOfMail(address: Address, lookup: Lookup, naming: Naming): ExpansionFault | undefined {
  const scope: Scope = { naming, lookup, trace: undefined }
  const expansion = new Expansion(scope)
  const ladder = climb(address, scope)
  const targets = findTargets(address, ladder, scope, 0)
  if (targets !== undefined) expansion.expandAlias(address, targets)
  else {
    const placement = placeMail(address, ladder, scope, 0)
    if (placement.kind === 'forward') expansion.expandForward(address, placement.address)
  }
  return expansion.fault
}

/** An alias or a forward that works now and would not after the change. */
export interface Broken {
  readonly record: MapRecord
  readonly fault: ExpansionFault
}

/** The first alias or forward that leads to one of the changed keys and would break by the change. */
export function findBroken(
  map: TracingReader,
  changed: ReadonlyMap<string, Entry | undefined>,
  naming: Naming,
): Broken | undefined {
  const candidate = new Candidate(map.lookup, changed)
  if (!map.hasExpansions) return undefined
  for (const record of leadingTo(map, [...changed.keys()], naming)) {
    const fault = faultOf(record.key, candidate, naming)
    if (fault !== undefined && faultOf(record.key, map.lookup, naming) === undefined) {
      return { record, fault }
    }
  }
  return undefined
}

export function describeBroken({ record, fault }: Broken): string {
  const where = record.at === undefined ? record.key : formatPosition(record.at)
  const what = record.source === 'aliases' ? 'the alias' : 'the forward of'
  return `${what} ${nameOf(record.key)} would lead nowhere (${where}): ${fault.reason}`
}

/** Aliases and forwards that lead to the keys, in however many steps; told apart by local part. */
export function leadingTo(
  map: TracingReader,
  keys: readonly string[],
  naming: Naming,
): MapRecord[] {
  const parents = new Map<string, MapRecord[]>()
  for (const record of map.records()) {
    for (const target of targetsOf(record)) {
      const user = parseAddress(target, naming)?.user
      if (user === undefined) continue
      const known = parents.get(user)
      if (known === undefined) parents.set(user, [record])
      else known.push(record)
    }
  }
  // Whatever has no line of its own may depend on a catch-all.
  if (keys.some(isCatchAll)) return [...new Set([...parents.values()].flat())]
  const found = new Set<MapRecord>()
  const open = keys.map((key) => userOf(key, naming))
  for (let user = open.pop(); user !== undefined; user = open.pop()) {
    for (const record of parents.get(user) ?? []) {
      if (found.has(record)) continue
      found.add(record)
      open.push(userOf(record.key, naming))
    }
  }
  return [...found]
}

function targetsOf(record: MapRecord): readonly string[] {
  if (record.source === 'aliases') return record.targets
  return record.value.kind === 'forward' ? [record.value.address] : []
}

function userOf(key: string, naming: Naming): string {
  const parsed = parseKey(nameOf(key), naming)
  return 'key' in parsed ? parsed.address.user : key
}
