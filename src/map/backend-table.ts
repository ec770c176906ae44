/** Which back-end a word in a source means: its name in the config, or the host that it has. */
import { nearest } from '../base/nearest.ts'
import type { BackendConfig } from '../config/config.ts'

export type FoundBackend =
  | { readonly backend: string; readonly portIsOther: boolean }
  /** Why none was found, and what to write instead. */
  | { readonly reason: string; readonly hint: string | undefined }

export class BackendTable {
  readonly #byName = new Map<string, BackendConfig>()
  readonly #byHost = new Map<string, BackendConfig[]>()

  constructor(backends: Iterable<BackendConfig>) {
    for (const backend of backends) {
      this.#byName.set(backend.name.toLowerCase(), backend)
      const host = plainHost(backend.host)
      this.#byHost.set(host, [...(this.#byHost.get(host) ?? []), backend])
    }
  }

  has(word: string): boolean {
    return this.#byName.has(word.toLowerCase()) || this.#byHost.has(plainHost(word))
  }

  /** A name goes before a host; of back-ends that share a host, the port tells which is meant. */
  find(word: string, port?: number): FoundBackend {
    const named = this.#byName.get(word.toLowerCase())
    const sharing = named === undefined ? (this.#byHost.get(plainHost(word)) ?? []) : [named]
    const withPort = port === undefined ? [] : sharing.filter((one) => hasPort(one, port))
    const [only, second] = withPort.length > 0 ? withPort : sharing
    if (only === undefined) return this.#unknown(word)
    if (second !== undefined) {
      const names = sharing.map(({ name }) => name).join(', ')
      return { reason: `${word} is the host of several back-ends`, hint: `write one of ${names}` }
    }
    return { backend: only.name, portIsOther: port !== undefined && withPort.length === 0 }
  }

  #unknown(word: string): FoundBackend {
    const names = [...this.#byName.values()].map(({ name }) => name)
    const [label = word] = word.split('.')
    const meant = nearest(word, names) ?? nearest(label, names)
    const known = names.slice(0, 5).join(', ')
    return {
      reason: `no back-end is called ${word}, and none has it as its host`,
      hint: meant === undefined ? `known: ${known}` : `did you mean ${meant}?`,
    }
  }
}

function plainHost(host: string): string {
  return host
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase()
}

function hasPort(backend: BackendConfig, port: number): boolean {
  return Object.values(backend.endpoints).some((endpoint) => endpoint.port === port)
}
