/** Facts → the text of our sources, and the back-ends that the config needs for them. */
import type { Config } from '../../config/config.ts'
import { BackendTable } from '../backend-table.ts'
import { writeKey } from '../sources/line-grammar.ts'
import type { Fact, Note, Server, Target } from './fact.ts'
import { bracket } from './server-text.ts'

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

interface NewBackend {
  readonly name: string
  readonly host: string
  readonly ports: Map<string, number>
}

/** Where a form has escapes, what they stand for could add lines of its own. */
// oxlint-disable-next-line no-control-regex -- control bytes are what is looked for
const unwritable = /[\u0000-\u0008\u000a-\u001f\u007f]/

class SourceWriter {
  readonly #table: BackendTable | undefined
  readonly #taken: Set<string>
  readonly #new = new Map<string, NewBackend>()
  readonly #lines = new Map<SourceFileName, string[]>()
  readonly #notes: Note[] = []

  constructor(config: Config | undefined) {
    this.#table = config && new BackendTable(config.backends.values())
    this.#taken = new Set(config?.backends.keys())
  }

  write(fact: Fact): void {
    switch (fact.kind) {
      case 'alias':
        this.#add(fact, 'aliases', `${writeKey(fact.name)}: ${fact.targets.join(', ')}`)
        break
      case 'user':
        this.#writeUser(fact)
        break
      case 'rule':
        this.#add(fact, 'rules', `${fact.match}\t${this.#ruleTarget(fact.to)}`)
        break
      case 'shares': {
        const shares = fact.servers.map(
          ({ server, weight }) => this.#word(server) + (weight === 1 ? '' : `*${weight}`),
        )
        this.#add(fact, 'rules', `${fact.match}\thash(${shares.join(', ')})`)
        break
      }
      case 'word': {
        const separator = fact.source === 'popmap' ? ':' : '\t'
        this.#add(fact, fact.source, `${writeKey(fact.key)}${separator}${fact.value}`)
        break
      }
      case 'line':
        this.#add(fact, fact.source, fact.text)
        break
      case 'pattern':
        if (fact.to.kind === 'server') {
          this.#add(fact, 'popmap.re', `${fact.expression}:\t${this.#login(fact.to)}`)
        } else this.#refuse(fact, fact.expression)
        break
      default:
        fact satisfies never
    }
  }

  #writeUser(fact: Extract<Fact, { kind: 'user' }>): void {
    const { key, side, to } = fact
    if (side === 'retrieval') {
      if (to.kind === 'server') this.#add(fact, 'popmap', `${writeKey(key)}:${this.#login(to)}`)
      else this.#refuse(fact, key)
      return
    }
    this.#add(fact, 'user_map', `${writeKey(key)}\t${this.#mailTarget(to)}`)
  }

  #refuse({ at }: Fact, about: string): void {
    this.#notes.push({ at, about, reason: 'logins go to a server or nowhere' })
  }

  #mailTarget(to: Target): string {
    switch (to.kind) {
      case 'server':
        return this.#login(to)
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

  #ruleTarget(to: Target): string {
    if (to.kind === 'server') return this.#word(to.server)
    if (to.kind === 'forward') return to.address
    return `${to.kind} ${to.status} ${to.code} "${to.text}"`
  }

  #login({ server, login }: Extract<Target, { kind: 'server' }>): string {
    const word = this.#word(server)
    return login === undefined ? word : `${login}@${word}`
  }

  /** The name of the back-end that a server is; a new one where the config has none. */
  #word({ host, port, protocol }: Server): string {
    const found = this.#table?.find(host, port)
    if (found !== undefined && 'backend' in found) return found.backend
    const known = this.#new.get(host.toLowerCase()) ?? this.#invent(host)
    if (port !== undefined) known.ports.set(protocol ?? 'imap', port)
    return known.name
  }

  #invent(host: string): NewBackend {
    const isName = /^[A-Za-z][\w.-]*$/.test(host)
    const short = isName ? (host.split('.')[0] ?? host) : `at-${host.replace(/[^\w]+/g, '-')}`
    let name = short
    for (let number = 2; this.#taken.has(name); number++) name = `${short}${number}`
    this.#taken.add(name)
    const backend = { name, host, ports: new Map<string, number>() }
    this.#new.set(host.toLowerCase(), backend)
    return backend
  }

  #add({ at }: Fact, source: SourceFileName, line: string): void {
    if (unwritable.test(line)) {
      const about = JSON.stringify(line.slice(0, 80))
      this.#notes.push({ at, about, reason: 'a line holds no line break and no control character' })
      return
    }
    const lines = this.#lines.get(source)
    if (lines === undefined) this.#lines.set(source, [line])
    else lines.push(line)
  }

  finish(): WrittenSources {
    return {
      texts: new Map([...this.#lines].map(([name, lines]) => [name, `${lines.join('\n')}\n`])),
      missing: [...this.#new.values()].map(({ name, host, ports }) => {
        const told =
          ports.size > 0
            ? ports
            : new Map([
                ['smtp', 25],
                ['imap', 143],
              ])
        const pairs = [...told].map(([protocol, port]) => `${protocol}: ${port}`)
        return `  ${name}: {host: "${bracket(host).replace(/^\[|\]$/g, '')}", ${pairs.join(', ')}}`
      }),
      notes: this.#notes,
    }
  }
}
