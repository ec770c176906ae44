/** Facts → the text of our sources, and the back-ends that the config needs for them. */
import { formatPosition, type Position } from '../../base/position.ts'
import type { Config } from '../../config/config.ts'
import type { Naming } from '../../mail/address.ts'
import { canonicalQuery } from '../../mail/query-key.ts'
import { BackendTable } from '../backend-table.ts'
import { parseKey } from '../key.ts'
import { unquote, writeKey } from '../sources/line-grammar.ts'
import { BackendNames } from './backend-names.ts'
import type { Fact, Note, Server, Target } from './fact.ts'
import { whyUnsayable } from './why-unsayable.ts'

export type SourceFileName = 'aliases' | 'user_map' | 'popmap' | 'popmap.re' | 'rules'

export interface WrittenSources {
  /** By name of the source; only those that have lines. */
  readonly texts: ReadonlyMap<SourceFileName, string>
  /** Servers that the config has no back-end for: lines for its `backends`. */
  readonly missing: readonly string[]
  readonly notes: readonly Note[]
}

export function writeSources(facts: readonly Fact[], config: Config | undefined): WrittenSources {
  const writer = new SourceWriter(config)
  for (const fact of facts) writer.write(fact)
  return writer.finish()
}

/** Without a config nothing is ours, and keys are compared as the default has it. */
const usualNaming: Naming = {
  domains: new Set(),
  defaultDomain: 'localhost',
  recipientDelimiter: '+',
  foldCase: true,
}

/** A fact cannot be written; what it was about has been told. */
class Unsayable extends Error {}

type AliasFact = Extract<Fact, { readonly kind: 'alias' }>

function aboutOf(fact: Fact): string {
  switch (fact.kind) {
    case 'alias':
      return fact.name
    case 'user':
    case 'word':
      return fact.key
    case 'rule':
    case 'shares':
      return fact.match
    case 'pattern':
      return fact.expression
    case 'line':
      return fact.text
    default:
      return fact satisfies never
  }
}

class SourceWriter {
  readonly #naming: Naming
  readonly #hasQueryKeys: boolean
  readonly #table: BackendTable | undefined
  readonly #names: BackendNames
  readonly #lines = new Map<SourceFileName, string[]>()
  /** Of each key of a source the first line, and where it was read. */
  readonly #first = new Map<string, { readonly line: string; readonly at: Position }>()
  readonly #notes: Note[] = []

  constructor(config: Config | undefined) {
    this.#naming = config?.naming ?? usualNaming
    this.#hasQueryKeys = (config?.map.queryKeys.length ?? 0) > 0
    this.#table = config && new BackendTable(config.backends.values())
    this.#names = new BackendNames(config)
  }

  write(said: Fact): void {
    const fact = said.kind === 'alias' ? this.#asUser(said) : said
    const reason = whyUnsayable(fact, this.#naming, this.#hasQueryKeys)
    try {
      if (reason !== undefined) this.#refuse(fact, reason)
      this.#write(fact)
    } catch (error) {
      if (!(error instanceof Unsayable)) throw error
    }
  }

  #write(fact: Fact): void {
    switch (fact.kind) {
      case 'alias':
        this.#writeAlias(fact)
        break
      case 'user':
        this.#writeUser(fact)
        break
      case 'rule':
        this.#add('rules', `${fact.match}\t${this.#ruleTarget(fact, fact.to)}`)
        break
      case 'shares':
        this.#add('rules', `${fact.match}\thash(${this.#shares(fact)})`)
        break
      case 'word': {
        const separator = fact.source === 'popmap' ? ':' : '\t'
        this.#addKey(fact.source, fact.key, `${separator}${fact.value}`, fact)
        break
      }
      case 'line':
        this.#add(fact.source, fact.text)
        break
      case 'pattern':
        if (fact.to.kind !== 'server') return
        this.#add('popmap.re', `${fact.expression}:\t${this.#login(fact, fact.to)}`)
        break
      default:
        fact satisfies never
    }
  }

  #writeAlias(fact: AliasFact): void {
    const { name, targets } = fact
    const there = targets.find((target) => this.#isAtBackend(target))
    if (there === undefined) this.#addKey('aliases', name, `: ${targets.join(', ')}`, fact)
    else
      this.#refuse(fact, `${there} names a back-end: name the user, and the back-end in user_map`)
  }

  /** Mail for one name at a back-end is no alias of ours, but a user. */
  #asUser(fact: AliasFact): Fact {
    const { at, name, targets } = fact
    const [target = '', second] = targets
    if (second !== undefined || !this.#isAtBackend(target)) return fact
    const divide = target.lastIndexOf('@')
    const server = { host: target.slice(divide + 1) }
    const to = { kind: 'server', server, login: unquote(target.slice(0, divide)) } as const
    return { kind: 'user', at, key: name, side: 'both', to }
  }

  #isAtBackend(target: string): boolean {
    const host = target.slice(target.lastIndexOf('@') + 1)
    const isOurs = this.#naming.domains.has(host.toLowerCase())
    return target.includes('@') && !isOurs && this.#table?.has(host) === true
  }

  #writeUser(fact: Extract<Fact, { kind: 'user' }>): void {
    const { key, side, to } = fact
    if (side !== 'retrieval') this.#addKey('user_map', key, `\t${this.#mailTarget(fact, to)}`, fact)
    else if (to.kind === 'server') this.#addKey('popmap', key, `:${this.#login(fact, to)}`, fact)
  }

  #refuse(fact: Fact, reason: string): never {
    const { at } = fact
    this.#notes.push({ at, about: aboutOf(fact).slice(0, 80), reason })
    throw new Unsayable()
  }

  #mailTarget(fact: Fact, to: Target): string {
    switch (to.kind) {
      case 'server':
        return this.#login(fact, to)
      case 'forward':
        return to.address
      case 'reject':
        return `error:${to.status}:${to.code} ${to.text}`
      case 'defer':
        return `defer:${to.status}:${to.code} ${to.text}`
      default:
        return to satisfies never
    }
  }

  #ruleTarget(fact: Fact, to: Target): string {
    if (to.kind === 'server') return this.#word(fact, to.server)
    if (to.kind === 'forward') return to.address
    return `${to.kind} ${to.status} ${to.code} "${to.text}"`
  }

  /** Servers that are one back-end of ours share its weight. */
  #shares(fact: Extract<Fact, { kind: 'shares' }>): string {
    const weights = new Map<string, number>()
    for (const { server, weight } of fact.servers) {
      const word = this.#word(fact, server)
      weights.set(word, (weights.get(word) ?? 0) + weight)
    }
    const shares = [...weights].map(([word, weight]) => word + (weight === 1 ? '' : `*${weight}`))
    return shares.join(', ')
  }

  #login(fact: Fact, { server, login }: Extract<Target, { kind: 'server' }>): string {
    const word = this.#word(fact, server)
    return login === undefined ? word : `${login}@${word}`
  }

  #word(fact: Fact, server: Server): string {
    const named = this.#names.nameOf(server)
    if ('refused' in named) this.#refuse(fact, named.refused)
    const { word, warning } = named
    if (warning !== undefined) {
      this.#notes.push({ at: fact.at, about: server.host, reason: warning, isCarried: true })
    }
    return word
  }

  /** A key that stands twice: every program that has such maps keeps the first. */
  #addKey(source: SourceFileName, key: string, rest: string, fact: Fact): void {
    const isQuery = this.#hasQueryKeys && source === 'popmap'
    const query = isQuery ? canonicalQuery(key, this.#naming) : undefined
    const parsed = parseKey(key, this.#naming)
    const known = `${source}\0${query ?? ('key' in parsed ? parsed.key : key)}`
    const before = this.#first.get(known)
    if (before === undefined) {
      this.#first.set(known, { line: rest, at: fact.at })
      this.#add(source, writeKey(key) + rest)
    } else if (before.line !== rest) {
      this.#refuse(fact, `it stands twice; the first counts: ${formatPosition(before.at)}`)
    }
  }

  #add(source: SourceFileName, line: string): void {
    const lines = this.#lines.get(source)
    if (lines === undefined) this.#lines.set(source, [line])
    else lines.push(line)
  }

  finish(): WrittenSources {
    return {
      texts: new Map([...this.#lines].map(([name, lines]) => [name, `${lines.join('\n')}\n`])),
      missing: this.#names.missing(),
      notes: this.#notes,
    }
  }
}
