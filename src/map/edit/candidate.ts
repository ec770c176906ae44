/** The map as it would be after a change, to see what the change would break before it is made. */
import { MailmuxError } from '../../base/error.ts'
import { formatPosition } from '../../base/position.ts'
import { type Naming, parseAddress } from '../../mail/address.ts'
import {
  AliasGraph,
  type Finding,
  type GraphNode,
  nameOf as nameOfNode,
  type TakeFinding,
} from '../alias-graph.ts'
import { isTemplate } from '../fill-in.ts'
import { isCatchAll, isWide, nameOf, parseKey } from '../key.ts'
import type { MapRecord } from '../map-record.ts'
import type { TracingReader } from '../open.ts'
import type { Entry, Lookup } from '../place.ts'

class Candidate implements Lookup {
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

/**
 * Refuses a change after which an alias or a forward would not work. The check is that of a build,
 * on all that the change may concern, so that a build takes what a change has left. Throws
 * CHANGE_REFUSED.
 */
export function refuseBreaking(
  map: TracingReader,
  changed: ReadonlyMap<string, Entry | undefined>,
  naming: Naming,
): void {
  if (leavesNothing(map, changed)) {
    throw new MailmuxError('CHANGE_REFUSED', 'the map would have no user, no alias and no rule')
  }
  const keys = [...changed.keys()]
  const concerned = [...keys, ...concernedBy(map, keys, naming)]
  const faults = faultsOf(concerned, new Candidate(map.lookup, changed), naming)
  if (faults.size === 0) return
  const before = faultsOf(concerned, map.lookup, naming)
  for (const [name, fault] of faults) {
    if (before.has(name)) continue
    const isOwn = changed.has(fault.node.key)
    throw new MailmuxError('CHANGE_REFUSED', isOwn ? fault.reason : describe(fault, map))
  }
}

/** A build takes no empty map: it is what is left where a source was lost. */
function leavesNothing(
  map: TracingReader,
  changed: ReadonlyMap<string, Entry | undefined>,
): boolean {
  if (map.lookup.rules.length + map.lookup.patterns.length > 0) return false
  if ([...changed.values()].some((entry) => entry !== undefined)) return false
  return map.records().every(({ key }) => changed.has(key))
}

interface Fault {
  readonly node: GraphNode
  readonly kind: Finding['kind']
  readonly reason: string
}

/** What is wrong with the keys and with all that they lead to, each once. */
function faultsOf(keys: readonly string[], lookup: Lookup, naming: Naming): Map<string, Fault> {
  const faults = new Map<string, Fault>()
  const take: TakeFinding = (node, text, finding) => {
    if (finding.kind === 'refused') return
    const { kind } = finding
    const reason = kind === 'circle' ? describeCircle(finding.circle) : finding.reason
    const name = `${node.kind} ${node.key} ${text ?? ''} ${kind}`
    if (!faults.has(name)) faults.set(name, { node, kind, reason })
  }
  const graph = new AliasGraph({ naming, lookup, trace: undefined }, take)
  for (const key of keys) if (isExpansion(key, lookup.find(key))) graph.visitKey(key)
  return faults
}

/** True where a build looks at what the key leads to. */
function isExpansion(key: string, entry: Entry | undefined): boolean {
  if (entry?.targets !== undefined) return true
  // Where parts of names lead is known only when there is a name.
  const forward = entry?.delivery?.kind === 'forward' ? entry.delivery.address : undefined
  return forward !== undefined && !(isWide(key) && isTemplate(forward))
}

function describeCircle(circle: readonly GraphNode[]): string {
  const path = [...circle, ...circle.slice(0, 1)].map(nameOfNode).join(' → ')
  return `aliases go in a circle: ${path}`
}

function describe({ node, kind, reason }: Fault, map: TracingReader): string {
  const { key } = node
  const at = map.place(key, node.kind === 'alias' ? 'aliases' : 'user_map')
  const where = at === undefined ? '' : ` (${formatPosition(at)})`
  const what = node.kind === 'alias' ? 'the alias' : 'the forward of'
  const how = kind === 'nowhere' ? 'lead nowhere' : 'break'
  return `${what} ${nameOf(key)} would ${how}${where}: ${reason}`
}

/**
 * Aliases and forwards that lead to the users, in however many steps; told apart by local part.
 * `first`: the records that may have one of them in them.
 */
function leadingTo(
  map: TracingReader,
  users: ReadonlySet<string>,
  first: readonly MapRecord[],
  naming: Naming,
): MapRecord[] {
  const found = new Map<string, MapRecord>()
  const seen = new Set(users)
  let open = users
  let records: Iterable<MapRecord> = first
  while (open.size > 0) {
    const next = new Set<string>()
    for (const record of records) {
      if (!namesAny(targetsOf(record), open, naming)) continue
      found.set(`${record.source} ${record.key}`, record)
      const user = userOf(record.key, naming)
      if (!seen.has(user)) next.add(user)
      seen.add(user)
    }
    open = next
    records = map.expansions(open)
  }
  return [...found.values()]
}

function usersOf(keys: readonly string[], naming: Naming): Set<string> {
  return new Set(keys.map((key) => userOf(key, naming)))
}

function namesAny(targets: readonly string[], users: ReadonlySet<string>, naming: Naming): boolean {
  return targets.some((target) => {
    const user = parseAddress(target, naming)?.user
    return user !== undefined && users.has(user)
  })
}

/** Keys of aliases and forwards that may work otherwise after a change of some. */
export function concernedBy(
  map: TracingReader,
  keys: readonly string[],
  naming: Naming,
): Set<string> {
  if (!map.hasExpansions) return new Set()
  const users = usersOf(keys, naming)
  const hidden: string[] = []
  // Whatever has no line of its own may depend on a catch-all.
  let mayBeAny = keys.some(isCatchAll)
  const first = [...map.expansions(users)]
  for (const record of first) {
    mayBeAny ||= isWide(record.key) && targetsOf(record).some((one) => makesNames(one, naming))
    // What a line of the same name has hidden may come into force.
    if (users.has(userOf(record.key, naming))) hidden.push(record.key)
  }
  const records = mayBeAny ? map.expansions() : leadingTo(map, users, first, naming)
  return new Set([...hidden, ...[...records].map(({ key }) => key)])
}

/** True where a line for many names makes other names of them. */
function makesNames(template: string, { recipientDelimiter }: Naming): boolean {
  const local = template.slice(0, template.lastIndexOf('@'))
  return isTemplate(template) && !['%1', '%1%3', `%1${recipientDelimiter}%2`].includes(local)
}

function targetsOf(record: MapRecord): readonly string[] {
  if (record.source === 'aliases') return record.targets
  return record.value.kind === 'forward' ? [record.value.address] : []
}

function userOf(key: string, naming: Naming): string {
  const parsed = parseKey(nameOf(key), naming)
  return 'key' in parsed ? parsed.address.user : key
}
