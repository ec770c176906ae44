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

/** Aliases and forwards, by the names that they lead to and by their own. */
interface Expansions {
  readonly all: readonly MapRecord[]
  readonly byTarget: ReadonlyMap<string, readonly MapRecord[]>
  /** False where a catch-all makes other names of the names that are asked for. */
  readonly keepsNames: boolean
}

function expansionsOf(map: TracingReader, naming: Naming): Expansions {
  const all: MapRecord[] = []
  const byTarget = new Map<string, MapRecord[]>()
  let keepsNames = true
  for (const record of map.records()) {
    const targets = targetsOf(record)
    if (targets.length > 0) all.push(record)
    for (const target of targets) {
      if (isWide(record.key) && isTemplate(target)) keepsNames &&= isNameKept(target, naming)
      const user = parseAddress(target, naming)?.user
      if (user === undefined) continue
      const known = byTarget.get(user)
      if (known === undefined) byTarget.set(user, [record])
      else known.push(record)
    }
  }
  return { all, byTarget, keepsNames }
}

function isNameKept(template: string, { recipientDelimiter }: Naming): boolean {
  const local = template.slice(0, template.lastIndexOf('@'))
  return ['%1', '%1%3', `%1${recipientDelimiter}%2`].includes(local)
}

/** Aliases and forwards that lead to the keys, in however many steps; told apart by local part. */
export function leadingTo(
  map: TracingReader,
  keys: readonly string[],
  naming: Naming,
): MapRecord[] {
  return [...follow(expansionsOf(map, naming), keys, naming)]
}

function follow({ byTarget }: Expansions, keys: readonly string[], naming: Naming): Set<MapRecord> {
  const found = new Set<MapRecord>()
  const open = keys.map((key) => userOf(key, naming))
  for (let user = open.pop(); user !== undefined; user = open.pop()) {
    for (const record of byTarget.get(user) ?? []) {
      if (found.has(record)) continue
      found.add(record)
      open.push(userOf(record.key, naming))
    }
  }
  return found
}

/** Keys of aliases and forwards that may work otherwise after a change of some. */
function concernedBy(map: TracingReader, keys: readonly string[], naming: Naming): Set<string> {
  if (!map.hasExpansions) return new Set()
  const expansions = expansionsOf(map, naming)
  // Whatever has no line of its own may depend on a catch-all.
  const mayBeAny = keys.some(isCatchAll) || !expansions.keepsNames
  if (mayBeAny) return new Set(expansions.all.map(({ key }) => key))
  const users = new Set(keys.map((key) => userOf(key, naming)))
  // What a line of the same name has hidden may come into force.
  const hidden = expansions.all.filter(({ key }) => users.has(userOf(key, naming)))
  const leading = follow(expansions, [...keys, ...hidden.map(({ key }) => key)], naming)
  return new Set([...hidden, ...leading].map(({ key }) => key))
}

function targetsOf(record: MapRecord): readonly string[] {
  if (record.source === 'aliases') return record.targets
  return record.value.kind === 'forward' ? [record.value.address] : []
}

function userOf(key: string, naming: Naming): string {
  const parsed = parseKey(nameOf(key), naming)
  return 'key' in parsed ? parsed.address.user : key
}
