/** The back-end of ours that a server in a foreign map is, or the one that the config needs for it. */
import { isHost } from '../../mail/network.ts'
import type { Config } from '../../config/config.ts'
import { BackendTable } from '../backend-table.ts'
import type { Server } from './fact.ts'

interface NewBackend {
  readonly name: string
  readonly host: string
  readonly ports: Map<string, number>
}

export type NamedBackend =
  /** `warning` once for each: the map goes on with what the config says. */
  { readonly word: string; readonly warning?: string } | { readonly refused: string }

/** Words that mean something else where a back-end's name may stand, in rules or in YAML. */
const reserved = ['reject', 'defer', 'hash', 'true', 'false', 'null']

export class BackendNames {
  readonly #table: BackendTable | undefined
  /** In small letters: back-ends are told apart without case. */
  readonly #taken: Set<string>
  /** By host: more than one where ports differ. */
  readonly #new = new Map<string, NewBackend[]>()
  readonly #warned = new Set<string>()

  constructor(config: Config | undefined) {
    this.#table = config && new BackendTable(config.backends.values())
    const known = [...(config?.backends.keys() ?? [])].map((name) => name.toLowerCase())
    this.#taken = new Set([...reserved, ...known])
  }

  nameOf({ host, port, protocol = 'imap' }: Server): NamedBackend {
    if (this.#table?.has(host) === true) return this.#known(this.#table, host, port)
    if (!isHost(host)) return { refused: 'its server is no host name or address' }
    const sharing = this.#new.get(host.toLowerCase()) ?? []
    const fits = ({ ports }: NewBackend): boolean =>
      port === undefined || (ports.get(protocol) ?? port) === port
    const backend = sharing.find(fits) ?? this.#invent(host)
    if (port !== undefined) backend.ports.set(protocol, port)
    return { word: backend.name }
  }

  #known(table: BackendTable, host: string, port: number | undefined): NamedBackend {
    const found = table.find(host, port)
    if ('reason' in found) return { refused: `${found.reason}: ${found.hint}` }
    const word = found.backend
    if (!found.portIsOther || this.#warned.has(`${word}:${port}`)) return { word }
    this.#warned.add(`${word}:${port}`)
    return { word, warning: `${word} has no port ${port}: the ports of the config are used` }
  }

  #invent(host: string): NewBackend {
    const isName = /^[A-Za-z][A-Za-z0-9._-]*$/.test(host)
    const label = isName ? host.split('.')[0] : undefined
    const short = label || `at-${host.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, '')}`
    let name = short
    for (let number = 2; this.#taken.has(name.toLowerCase()); number++) {
      name = `${short}-${number}`
    }
    this.#taken.add(name.toLowerCase())
    const backend = { name, host, ports: new Map<string, number>() }
    const key = host.toLowerCase()
    this.#new.set(key, [...(this.#new.get(key) ?? []), backend])
    return backend
  }

  /** Lines for `backends` of the config. A port that nothing told is the usual one. */
  missing(): string[] {
    const usual = new Map([
      ['smtp', 25],
      ['imap', 143],
    ])
    return [...this.#new.values()].flat().map(({ name, host, ports }) => {
      const told = [...(ports.size > 0 ? ports : usual)]
      const pairs = told.map(([protocol, port]) => `${protocol}: ${port}`)
      return `  ${name}: {host: ${JSON.stringify(host)}, ${pairs.join(', ')}}`
    })
  }
}
