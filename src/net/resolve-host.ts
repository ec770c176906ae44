/**
 * Addresses of back-ends given by name. One question per name at a time, so that a resolver that
 * hangs cannot fill the thread pool; answers are kept for a short time, and the last good ones are
 * used while the resolver is silent or failing. Names come from the config only, never from a peer.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'

const freshMs = 30_000
const staleMs = 86_400_000
const patienceMs = 2_000

type Answer = (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void
export type Query = (host: string, answer: Answer) => void

interface Known {
  addresses: readonly LookupAddress[]
  /** When the answer came; monotonic milliseconds. */
  at: number
  waiting: Answer[]
}

/** Keeps what was learned about names. One a worker. */
export class HostResolver {
  readonly #known = new Map<string, Known>()
  readonly #query: Query
  readonly #now: () => number

  constructor(query: Query = askSystem, now: () => number = () => performance.now()) {
    this.#query = query
    this.#now = now
  }

  /** Answers at once, or when the resolver does; always in the end, with an error if need be. */
  resolve(host: string, answer: Answer): void {
    let known = this.#known.get(host)
    if (known === undefined) {
      known = { addresses: [], at: Number.NEGATIVE_INFINITY, waiting: [] }
      this.#known.set(host, known)
    }
    if (this.#now() - known.at < freshMs) return answer(null, known.addresses)
    this.#wait(known, answer)
    if (known.waiting.length === 1) this.#ask(host, known)
  }

  #wait(known: Known, answer: Answer): void {
    if (this.#now() - known.at >= staleMs) {
      known.waiting.push(answer)
      return
    }
    let answered = false
    const once: Answer = (error, addresses) => {
      if (answered) return
      answered = true
      clearTimeout(timer)
      answer(error, addresses)
    }
    const timer = setTimeout(() => once(null, known.addresses), patienceMs)
    known.waiting.push(once)
  }

  #ask(host: string, known: Known): void {
    this.#query(host, (error, addresses) => {
      if (error === null && addresses.length > 0) {
        known.addresses = addresses
        known.at = this.#now()
      }
      const usable = this.#now() - known.at < staleMs
      const waiting = known.waiting
      known.waiting = []
      for (const answer of waiting) answer(usable ? null : error, known.addresses)
      // A name that never had an address is forgotten, so that nothing is kept of old configs.
      if (!usable) this.#known.delete(host)
    })
  }

  /** For the option `lookup` of node:net. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.resolve(host, (error, addresses) => {
      const first = addresses[0]
      if (error !== null) callback(error, [])
      else if (first === undefined) callback(noAddress(host), [])
      else if (options.all === true) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    })
  }
}

function askSystem(host: string, answer: Answer): void {
  systemLookup(host, { all: true }, (error, addresses) => answer(error, addresses ?? []))
}

function noAddress(host: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' })
}

/** The resolver of this process. */
export const hostResolver = new HostResolver()
