/**
 * What of the config nothing reaches, and users who are reached only by half: mail without logins,
 * or logins without mail.
 */
import type { Position } from '../base/position.ts'
import type { BackendConfig, Config } from '../config/config.ts'
import { isQueryKey, nameOf, parseKey } from './key.ts'
import type { Checked } from './alias-check.ts'
import type { StoredRecord } from './database/record.ts'
import { placeLogin, type Scope } from './place.ts'
import { backendsOf } from './rule.ts'
import type { Usage } from './usage.ts'
import type { Value } from './value.ts'

/** A kind of fault that all users of a back-end have, told once. */
interface Half {
  readonly backend: string
  readonly what: 'logins' | 'mail'
  readonly first: Position
  count: number
}

export function checkReach(checked: Checked, config: Config, usage: Usage): void {
  for (const rule of checked.database.meta.rules) usage.noteRule(rule)
  for (const pattern of checked.database.meta.patterns) usage.notePattern(pattern, checked.naming)
  warnOfDomains(checked, config, usage)
  warnOfBackends(checked, config, usage)
  new HalfCheck(checked, config, usage).run()
}

function warnOfDomains({ problems, database }: Checked, config: Config, usage: Usage): void {
  if (usage.hasEveryDomain || database.hasBareKeys) return
  for (const [domain, at] of config.places.domains) {
    if (usage.domains.has(domain)) continue
    const what = `domains: no source has a user, an alias or a rule for ${domain}`
    problems.warn('unreached-domain', at, what, 'give it some, or remove the domain')
  }
}

function warnOfBackends({ problems, database }: Checked, config: Config, usage: Usage): void {
  const { rules, patterns } = database.meta
  const used = new Set([...usage.byUsers.user_map, ...usage.byUsers.popmap, config.smarthost])
  for (const { destination } of rules) {
    for (const backend of backendsOf(destination)) used.add(backend)
  }
  for (const { backend } of patterns) used.add(backend)
  for (const [name, at] of config.places.backends) {
    if (used.has(name)) continue
    const what = `backends.${name}: no source sends anybody there`
    problems.warn('unused-backend', at, what, 'let a source name it, or remove it')
  }
}

class HalfCheck {
  readonly #checked: Checked
  readonly #scope: Scope
  readonly #usage: Usage
  /** Back-ends without a port for the one or the other, of a site that has such ports at all. */
  readonly #without: Readonly<Record<Half['what'], ReadonlySet<string>>>
  readonly #found = new Map<string, Half>()

  constructor(checked: Checked, { backends }: Config, usage: Usage) {
    this.#checked = checked
    this.#usage = usage
    this.#scope = { naming: checked.naming, lookup: checked.database, trace: undefined }
    const all = [...backends.values()]
    this.#without = { logins: namesWithout(all, takesLogins), mail: namesWithout(all, takesMail) }
  }

  run(): void {
    this.#checkRules()
    if (this.#isSuspect()) this.#checkUsers()
    for (const { backend, what, first, count } of this.#found.values()) {
      const more = count > 1 ? ` and ${count - 1} more` : ''
      const { problems } = this.#checked
      if (what === 'logins') {
        const said = `logins of this user${more} lead to ${backend}, which has no imap and no pop3`
        const hint = `give backends.${backend} a port for them, or name another in popmap`
        problems.warn('no-login-port', first, said, hint)
      } else {
        const said = `mail of this user${more} goes to ${backend}, which has no smtp and no lmtp`
        problems.warn('no-mail-port', first, said, `give backends.${backend} a port for mail`)
      }
    }
  }

  /** True where a line of one user may be at fault: only then all of them are read. */
  #isSuspect(): boolean {
    const { user_map: userMap, popmap } = this.#usage.byUsers
    const { logins, mail } = this.#without
    return [
      [userMap, logins],
      [userMap, mail],
      [popmap, logins],
    ].some(([named, without]) => named?.intersection(without ?? new Set()).size !== 0)
  }

  #checkRules(): void {
    const { database, problems } = this.#checked
    for (const { destination, at } of database.meta.rules) {
      for (const backend of backendsOf(destination)) {
        if (!this.#without.mail.has(backend)) continue
        const what = `the rule sends mail to ${backend}, which has no smtp and no lmtp`
        problems.warn('no-mail-port', at, what, `give backends.${backend} a port for mail`)
      }
    }
  }

  #checkUsers(): void {
    const { database } = this.#checked
    for (const record of database.records()) {
      if (record.kind === 'aliases') continue
      const value = database.valueOfRecord(record) as Value
      if (!('backend' in value)) continue
      const { backend } = value
      const isMail = record.kind === 'user_map'
      if (isMail && this.#without.mail.has(backend)) this.#note(backend, 'mail', record)
      if (this.#without.logins.has(backend) && this.#logsIn(record.key, backend)) {
        this.#note(backend, 'logins', record)
      }
    }
  }

  /** True where the logins of a key lead to that back-end. */
  #logsIn(key: string, backend: string): boolean {
    const { naming } = this.#checked
    if (isQueryKey(key)) return true
    const parsed = parseKey(nameOf(key), naming)
    if (!('key' in parsed) || !naming.domains.has(parsed.address.domain)) return false
    const placement = placeLogin(parsed.address, this.#scope)
    return placement.kind === 'at' && placement.destination.backend === backend
  }

  #note(backend: string, what: Half['what'], { source, line }: StoredRecord): void {
    const name = `${what} ${backend}`
    const found = this.#found.get(name)
    if (found !== undefined) {
      found.count++
      return
    }
    const file = this.#checked.database.meta.files[source] ?? ''
    this.#found.set(name, { backend, what, first: { file, line, column: 1 }, count: 1 })
  }
}

function takesLogins({ endpoints }: BackendConfig): boolean {
  return endpoints.imap !== undefined || endpoints.pop3 !== undefined
}

function takesMail({ endpoints }: BackendConfig): boolean {
  return endpoints.smtp !== undefined || endpoints.lmtp !== undefined
}

/** Of a site where no back-end has such a port, another program does that work. */
function namesWithout(
  backends: readonly BackendConfig[],
  has: (backend: BackendConfig) => boolean,
): Set<string> {
  if (!backends.some(has)) return new Set()
  return new Set(backends.filter((one) => !has(one)).map(({ name }) => name))
}
