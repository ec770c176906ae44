/**
 * What can only be said of the whole map: aliases and forwards that lead nowhere, in a circle or too
 * far, and keys that stand twice. Asks the compiled database, by the resolution of the daemons.
 */
import { formatPosition, type Position } from '../base/position.ts'
import { type Address, makeAddress, type Naming, parseAddress } from '../mail/address.ts'
import type { Resolution } from '../mail/route.ts'
import type { Database, StoredRecord } from './database/database.ts'
import type { Duplicate } from './database/index-builder.ts'
import { Expansion, type ExpansionFault, expansionLimits } from './expand.ts'
import { bareKey, parseKey } from './key.ts'
import { climb, findTargets, type Scope } from './place.ts'
import type { Problems } from './problems.ts'
import type { Alias } from './sources/aliases.ts'
import type { Forward } from './sources/source-context.ts'
import { describeValue, type Value } from './value.ts'

export interface Checked {
  readonly database: Database
  readonly naming: Naming
  readonly problems: Problems
}

interface Outcome {
  readonly fault: ExpansionFault | undefined
  readonly resolution: Resolution | undefined
  readonly addressCount: number
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

export class ReferenceCheck {
  readonly #checked: Checked
  readonly #scope: Scope
  /** Circles that were reported, by their members. */
  readonly #loops = new Set<string>()
  #unsaid: { readonly fault: ExpansionFault; readonly at: Position } | undefined

  constructor(checked: Checked) {
    this.#checked = checked
    this.#scope = { naming: checked.naming, lookup: checked.database, trace: undefined }
  }

  checkAlias(alias: Alias): void {
    let count = 0
    let hasFault = false
    for (const target of alias.targets) {
      const { fault, resolution, addressCount } = this.#expand(alias.key, [target.text], 'alias')
      count += addressCount
      hasFault ||= fault !== undefined
      if (fault !== undefined) this.#report(fault, target.at)
      else if (resolution?.result === 'reject') {
        const what = `mail for ${target.text} is refused: ${resolution.status} ${resolution.text}`
        this.#checked.problems.warn('refused-target', target.at, what, 'remove it from the alias')
      }
    }
    if (!hasFault) this.#warnOfLogins(alias)
    // Only together they may be too many; what several lead to counts once.
    if (hasFault || count <= expansionLimits.addresses) return
    const texts = alias.targets.map(({ text }) => text)
    const whole = this.#expand(alias.key, texts, 'alias').fault
    if (whole !== undefined) this.#report(whole, alias.at)
  }

  /** A user whose mail an alias takes elsewhere, though logins go on to the mailbox. */
  #warnOfLogins({ key, at, targets }: Alias): void {
    const { naming, problems, database } = this.#checked
    const parsed = parseKey(key.endsWith('@') ? key.slice(0, -1) : key, naming)
    if (!('key' in parsed) || !naming.domains.has(parsed.address.domain)) return
    const { whole, bare } = climb(parsed.address, this.#scope)
    const mailbox = whole?.delivery ?? bare?.delivery
    if (mailbox?.kind !== 'backend' && mailbox?.kind !== 'rename') return
    if (whole?.retrieval !== undefined || bare?.retrieval !== undefined) return
    const login = mailbox.kind === 'rename' ? mailbox.login : parsed.address.key
    const texts = targets.map(({ text }) => text)
    const outcome = new Expansion(this.#scope).expandAlias(parsed.address, texts)
    if (outcome.result !== 'expand') return
    const isCopied = outcome.destinations.some(
      (one) => one.backend === mailbox.backend && one.login === login,
    )
    if (isCopied) return
    const source = whole?.delivery === undefined ? bareKey(parsed.address.user) : parsed.address.key
    const place = database.place(source, 'user_map')
    const where = place === undefined ? '' : `: ${formatPosition(place)}`
    const what = `mail for ${parsed.address.key} goes elsewhere, but logins to ${mailbox.backend}${where}`
    const hint = 'name the user among the targets, or remove one of the two lines'
    problems.warn('routes-differ', at, what, hint)
  }

  checkForward({ key, target, at }: Forward): void {
    const { fault } = this.#expand(key, [target], 'forward')
    if (fault !== undefined) this.#report(fault, at)
  }

  /** To be called last: a fault that all left to another to report is reported after all. */
  finish(): void {
    if (this.#unsaid === undefined || this.#checked.problems.errors > 0) return
    const { fault, at } = this.#unsaid
    this.#checked.problems.error(codes[fault.kind], at, fault.reason, hints[fault.kind])
  }

  #expand(key: string, targets: readonly string[], kind: 'alias' | 'forward'): Outcome {
    let resolution: Resolution | undefined
    let addressCount = 0
    for (const address of this.#addressesOf(key, targets, kind)) {
      const expansion = new Expansion(this.#scope)
      resolution =
        kind === 'alias'
          ? expansion.expandAlias(address, targets)
          : expansion.expandForward(address, targets[0] ?? '')
      addressCount = Math.max(addressCount, expansion.addressCount)
      const { fault } = expansion
      if (fault !== undefined) return { fault, resolution, addressCount }
    }
    return { fault: undefined, resolution, addressCount }
  }

  /**
   * The addresses that a key decides. A bare key is tried in one domain, and in all only where a
   * target has its own name, since only then the domain makes a difference.
   */
  #addressesOf(key: string, targets: readonly string[], kind: 'alias' | 'forward'): Address[] {
    const { naming } = this.#checked
    if (!key.endsWith('@')) {
      const parsed = parseKey(key, naming)
      const address = 'key' in parsed ? parsed.address : undefined
      return address !== undefined && this.#decides(address, key, kind) ? [address] : []
    }
    const name = key.slice(0, -1)
    const found: Address[] = []
    for (const domain of new Set([naming.defaultDomain, ...naming.domains])) {
      const address = makeAddress(name, domain, naming)
      if (address !== undefined && this.#decides(address, key, kind)) found.push(address)
      const isEnough = !targets.some((target) => parseAddress(target, naming)?.user === name)
      if (found.length > 0 && isEnough) break
    }
    return found
  }

  /** False where a more exact key, or an alias, is asked before. */
  #decides(address: Address, key: string, kind: 'alias' | 'forward'): boolean {
    if (!this.#checked.naming.domains.has(address.domain)) return false
    const ladder = climb(address, this.#scope)
    const whole = key.endsWith('@') ? ladder.whole : undefined
    if (kind === 'alias') return whole?.targets === undefined
    const targets = findTargets(address, ladder, this.#scope, 0)
    const isCopied = targets?.some((target) => isSame(target, address, this.#checked.naming))
    return isCopied !== false && whole?.delivery === undefined
  }

  #report(fault: ExpansionFault, at: Position): void {
    // What a member of a member lacks is reported there.
    const isOwn = fault.path.length === 1
    this.#unsaid ??= { fault, at }
    if (fault.kind !== 'loop' && fault.kind !== 'too-deep' && !isOwn) return
    if (fault.kind === 'loop' && !this.#isNewLoop(fault.reason)) return
    this.#checked.problems.error(codes[fault.kind], at, fault.reason, hints[fault.kind])
  }

  #isNewLoop(reason: string): boolean {
    const names = reason.slice(reason.indexOf(': ') + 2).split(' → ')
    const circle = [...new Set(names)].sort().join(' ')
    if (this.#loops.has(circle)) return false
    this.#loops.add(circle)
    return true
  }
}

/** True where an alias keeps a copy for the address itself. */
function isSame(target: string, address: Address, naming: Naming): boolean {
  const parsed = parseAddress(target, naming)
  return (
    target === address.user || (parsed?.key === address.key && parsed.detail === address.detail)
  )
}

/** Keys that stand twice in one source: the same value is a warning, another one an error. */
export function reportDuplicates(
  duplicates: readonly Duplicate[],
  { database, problems }: Checked,
): void {
  for (const { first, second, same } of duplicates.toSorted(
    (one, other) => one.second - other.second,
  )) {
    if (same !== undefined && problems.countOnly(same ? 'warning' : 'error')) continue
    const before = database.record(first)
    const again = database.record(second)
    const isSame = same ?? (before.text === again.text && before.valueNumber === again.valueNumber)
    const at = placeOf(again, database)
    const key = again.key === bareKey(again.key.slice(0, -1)) ? again.key.slice(0, -1) : again.key
    const where = formatPosition(placeOf(before, database))
    if (isSame) {
      problems.warn(
        'duplicate-key',
        at,
        `${key} is there already: ${where}`,
        'remove one of the two',
      )
    } else {
      const values = [again, before].map((record) =>
        describeValue(database.valueOfRecord(record) as Value),
      )
      const what = `${key} is ${values[0]} here, but ${values[1]} before: ${where}`
      problems.error('duplicate-key', at, what, 'keep one of the two lines')
    }
  }
}

function placeOf({ source, line }: StoredRecord, { meta }: Database): Position {
  return { file: meta.files[source] ?? '', line, column: 1 }
}
