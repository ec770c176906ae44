/**
 * What can only be said of aliases and forwards together: those that lead nowhere, in a circle, too
 * deep or to too many, and those that keep their mail from a user. Asks the compiled database.
 */
import { formatPosition, type Position } from '../base/position.ts'
import { type Address, type Naming, parseAddress } from '../mail/address.ts'
import { AliasGraph, type Finding, type GraphNode, nameOf } from './alias-graph.ts'
import type { Database } from './database/database.ts'
import { Expansion, type ExpansionFault } from './expand.ts'
import { addressesOf, bareKey, isWide } from './key.ts'
import { climb, findByQuery, type Scope } from './place.ts'
import type { Problems } from './problems.ts'
import type { Alias } from './sources/aliases.ts'
import type { Forward } from './sources/source-context.ts'
import { describeValue } from './value.ts'

export interface Checked {
  readonly database: Database
  readonly naming: Naming
  readonly problems: Problems
}

const hints: Readonly<Record<ExpansionFault['kind'], string>> = {
  loop: 'remove one of them from the circle',
  'too-deep': 'name the users themselves in one of them',
  'too-many': 'let a list server have it',
  nowhere: 'add the user to user_map, or correct the name',
  'no-smarthost': 'set smarthost in the config',
  malformed: 'write name or name@domain',
}

const codes: Readonly<Record<ExpansionFault['kind'], string>> = {
  loop: 'alias-loop',
  'too-deep': 'alias-too-deep',
  'too-many': 'alias-too-big',
  nowhere: 'unresolved-target',
  'no-smarthost': 'no-smarthost',
  malformed: 'bad-target',
}

export class AliasCheck {
  readonly #checked: Checked
  readonly #scope: Scope
  readonly #graph: AliasGraph
  readonly #aliases: ReadonlyMap<string, Alias>
  readonly #forwards: ReadonlyMap<string, Forward>
  /** What was reported: a name for every domain is looked at in several, an alias more than once. */
  readonly #reported = new Set<string>()

  constructor(checked: Checked, aliases: ReadonlyMap<string, Alias>, forwards: readonly Forward[]) {
    this.#checked = checked
    this.#scope = { naming: checked.naming, lookup: checked.database, trace: undefined }
    this.#aliases = aliases
    this.#forwards = new Map(forwards.map((one) => [one.key, one]))
    this.#graph = new AliasGraph(this.#scope, this.#take.bind(this))
  }

  run(): void {
    for (const key of this.#aliases.keys()) this.#graph.visitKey(key)
    for (const key of this.#forwards.keys()) this.#graph.visitKey(key)
    for (const alias of this.#aliases.values()) this.#warnOfSwallowed(alias)
  }

  #take(node: GraphNode, text: string | undefined, finding: Finding): void {
    const name = `${node.kind} ${node.key} ${text ?? ''} ${finding.kind}`
    if (this.#reported.has(name)) return
    this.#reported.add(name)
    const { problems } = this.#checked
    const at = this.#placeOf(node, text)
    switch (finding.kind) {
      case 'refused': {
        if (node.kind !== 'alias') return
        const { status, text: said } = finding.verdict
        const what = `mail for ${text} is refused: ${status} ${said}`
        problems.warn('refused-target', at, what, 'remove it from the alias')
        break
      }
      case 'circle':
        this.#reportCircle(finding.circle, at)
        break
      default: {
        // A line for many names is right for most of them.
        const name = isWide(node.key) ? `${node.address.key}: ` : ''
        const what = `${name}${finding.reason}`
        problems.error(codes[finding.kind], at, what, hints[finding.kind])
      }
    }
  }

  /** Every member with its own place: the one to change is rarely the one that is met first. */
  #reportCircle(circle: readonly GraphNode[], at: Position): void {
    const { problems } = this.#checked
    // Aliases for every domain go in the same circle in each of them.
    const name = circle
      .map(({ kind, key }) => `${kind} ${key}`)
      .toSorted()
      .join()
    if (this.#reported.has(name)) return
    this.#reported.add(name)
    const names = circle.map((node) => {
      const { file, line } = this.#placeOf(node, undefined)
      return `${nameOf(node)} (${formatPosition({ file, line, column: 1 })})`
    })
    const path = [...names, ...circle.slice(0, 1).map(nameOf)].join(' → ')
    problems.error('alias-loop', at, `aliases go in a circle: ${path}`, hints.loop)
  }

  #placeOf({ kind, key }: GraphNode, text: string | undefined): Position {
    const alias = kind === 'alias' ? this.#aliases.get(key) : undefined
    const target = alias?.targets.find((one) => one.text === text)
    const known = target?.at ?? alias?.at ?? this.#forwards.get(key)?.at
    if (known !== undefined) return known
    // A line for many names is no forward until there is a name.
    const ofMany = this.#checked.database.place(key, 'user_map')
    return ofMany ?? { file: this.#checked.database.meta.files[0] ?? '', line: 1, column: 1 }
  }

  /** Users whose mail an alias takes, though a line of theirs says where it goes. */
  #warnOfSwallowed({ key, at, targets }: Alias): void {
    const { naming } = this.#checked
    const texts = targets.map(({ text }) => text)
    for (const address of addressesOf(key, naming)) {
      if (this.#warnOf(address, texts, at) && key.endsWith('@')) return
    }
  }

  #warnOf(address: Address, texts: readonly string[], at: Position): boolean {
    const { problems, naming } = this.#checked
    const { whole, bare } = climb(address, this.#scope)
    // A user of every domain is served by a copy in one of them.
    const isMain = address.domain === naming.defaultDomain
    const line = whole?.delivery ?? (isMain ? bare?.delivery : undefined)
    if (line === undefined || isCopied(texts, address, naming)) return false
    const where = this.#userLineOf(address, whole?.delivery !== undefined)
    if (line.kind !== 'backend' && line.kind !== 'rename') {
      const what = `the alias takes all mail for ${address.key}, and ${describeValue(line)}${where} has no effect`
      problems.warn('swallowed-user', at, what, 'remove one of the two lines')
      return true
    }
    if (whole?.retrieval !== undefined || bare?.retrieval !== undefined) return false
    if (findByQuery(address, this.#scope) !== undefined) return false
    const login = line.kind === 'rename' ? line.login : address.key
    const outcome = new Expansion(this.#scope).expandAlias(address, texts)
    if (outcome.result !== 'expand') return false
    const { destinations } = outcome
    if (destinations.some((one) => one.backend === line.backend && one.login === login)) {
      return false
    }
    const what = `mail for ${address.key} goes elsewhere, but logins to ${line.backend}${where}`
    const hint = 'name the user among the targets, or remove one of the two lines'
    problems.warn('routes-differ', at, what, hint)
    return true
  }

  #userLineOf({ key, user }: Address, isWhole: boolean): string {
    const place = this.#checked.database.place(isWhole ? key : bareKey(user), 'user_map')
    return place === undefined ? '' : `: ${formatPosition(place)}`
  }
}

/** True where an alias keeps a copy for the address itself. */
function isCopied(texts: readonly string[], address: Address, naming: Naming): boolean {
  return texts.some((target) => {
    if (target === address.user) return true
    const parsed = parseAddress(target, naming)
    return parsed?.key === address.key && parsed.detail === address.detail
  })
}
