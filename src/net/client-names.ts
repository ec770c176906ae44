/**
 * The names of clients, looked up beside their sessions: nobody ever waits for one. A name counts
 * where it leads back to the address that it was found by, since whoever has an address may write any
 * name for it. Bounded: few questions at a time, few answers kept, for a short time.
 */
import { promises as dns } from 'node:dns'

const freshMs = 600_000
const keptAnswers = 4096
const questionsAtOnce = 64
const patienceMs = 2_000
/** An address has one name; who has more gets no more questions for it. */
const namesTried = 3
const hostName = /^(?=.{1,253}$)(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/
const thisHost = /^(?:127\.|::1?$|0\.)/

/** What is asked; rejects where there is no answer. */
export interface NameQuery {
  reverse(address: string): Promise<readonly string[]>
  resolve(name: string, family: 4 | 6): Promise<readonly string[]>
}

interface Answer {
  readonly name: string | undefined
  /** Monotonic milliseconds. */
  readonly at: number
}

export class ClientNames {
  readonly #answers = new Map<string, Answer>()
  readonly #asked = new Set<string>()
  readonly #query: NameQuery
  readonly #now: () => number

  constructor(query: NameQuery, now: () => number = () => performance.now()) {
    this.#query = query
    this.#now = now
  }

  /** Begins to look for the name of an address, canonical, unless it is known. */
  ask(address: string): void {
    const known = this.#answers.get(address)
    if (known !== undefined && this.#now() - known.at < freshMs) return
    if (thisHost.test(address) || this.#asked.has(address)) return
    if (this.#asked.size >= questionsAtOnce) return
    this.#asked.add(address)
    void this.#lookUp(address).then((name) => this.#keep(address, name))
  }

  /** The name, where it is known by now. */
  nameOf(address: string): string | undefined {
    return this.#answers.get(address)?.name
  }

  async #lookUp(address: string): Promise<string | undefined> {
    const family = address.includes(':') ? 6 : 4
    try {
      const names = (await this.#query.reverse(address)).slice(0, namesTried)
      for (const written of names) {
        const name = written.toLowerCase().replace(/\.$/, '')
        if (hostName.test(name) && (await this.#leadsTo(name, address, family))) return name
      }
    } catch {
      // Without a name the address alone stands for the client.
    }
    return undefined
  }

  async #leadsTo(name: string, address: string, family: 4 | 6): Promise<boolean> {
    const addresses = await this.#query.resolve(name, family)
    return addresses.includes(address)
  }

  #keep(address: string, name: string | undefined): void {
    this.#asked.delete(address)
    this.#answers.delete(address)
    this.#answers.set(address, { name, at: this.#now() })
    if (this.#answers.size <= keptAnswers) return
    const [oldest] = this.#answers.keys()
    if (oldest !== undefined) this.#answers.delete(oldest)
  }
}

/** Asks DNS: the servers named, as `address` or `address:port`; those of the system where none is. */
export function dnsQuery(servers: readonly string[]): NameQuery {
  const resolver = new dns.Resolver({ timeout: patienceMs, tries: 1 })
  if (servers.length > 0) resolver.setServers(servers)
  return {
    reverse: (address) => resolver.reverse(address),
    resolve: (name, family) => (family === 4 ? resolver.resolve4(name) : resolver.resolve6(name)),
  }
}
