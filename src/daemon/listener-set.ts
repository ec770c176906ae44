/**
 * The listening sockets of a worker. Addresses that old and new settings share stay open all along;
 * what was accepted on a new address waits until the settings are in force.
 */
import type { ListenerConfig } from '../config/config.ts'
import type { Connection } from '../net/connection.ts'
import { type Listener, openListener } from '../net/listener.ts'
import { formatAddress } from './settings.ts'

type Accept = (socket: Connection, listener: ListenerConfig) => void

interface Entry {
  /** Undefined while others have the clients. */
  listener: Listener | undefined
  /** Undefined until in force. */
  config: ListenerConfig | undefined
  readonly early: Connection[]
}

export class ListenerSet {
  readonly #accept: Accept
  #entries = new Map<string, Entry>()
  #added = new Map<string, Entry>()
  #wanted: readonly ListenerConfig[] = []
  #isPaused = false
  #isClosed = false

  constructor(accept: Accept) {
    this.#accept = accept
  }

  /** Opens what `wanted` has beyond what is open. Throws LISTEN_FAILED, with nothing left open. */
  async prepare(wanted: readonly ListenerConfig[]): Promise<void> {
    this.#wanted = wanted
    try {
      for (const config of wanted) {
        const address = formatAddress(config)
        if (this.#entries.has(address)) continue
        const entry = await this.#open(config)
        if (this.#isClosed) entry.listener?.close()
        else this.#added.set(address, entry)
      }
    } catch (error) {
      this.abort()
      throw error
    }
  }

  /** Puts the prepared addresses in force and closes those that are wanted no more. */
  commit(): void {
    const entries = new Map<string, Entry>()
    for (const config of this.#wanted) {
      const address = formatAddress(config)
      const entry = this.#entries.get(address) ?? this.#added.get(address)
      if (entry === undefined) continue
      entry.config = config
      entries.set(address, entry)
    }
    for (const [address, { listener }] of this.#entries) {
      if (!entries.has(address)) listener?.close()
    }
    this.#entries = entries
    this.#added = new Map()
    if (this.#isPaused) this.#closeEntries()
    for (const entry of entries.values()) {
      for (const socket of entry.early.splice(0)) this.#take(socket, entry)
    }
  }

  /** Accepts nothing until `resume`. The addresses stay this host's while another worker has them. */
  pause(): void {
    this.#isPaused = true
    this.#closeEntries()
  }

  /** Throws LISTEN_FAILED; may be tried again. */
  async resume(): Promise<void> {
    this.#isPaused = false
    for (const [address, entry] of this.#entries) {
      if (entry.listener !== undefined || entry.config === undefined) continue
      const listener = await openListener(entry.config, (socket) => this.#take(socket, entry))
      // Much may have happened meanwhile.
      const isWanted = this.#entries.get(address) === entry && !this.#isPaused
      if (isWanted && entry.listener === undefined) entry.listener = listener
      else listener.close()
    }
  }

  /** Closes what `prepare` opened. */
  abort(): void {
    const added = this.#added
    this.#added = new Map()
    for (const { listener, early } of added.values()) {
      listener?.close()
      for (const socket of early) socket.destroy()
    }
  }

  /** Accepts nothing more. */
  close(): void {
    this.#isClosed = true
    this.abort()
    this.#closeEntries()
    this.#entries = new Map()
  }

  #closeEntries(): void {
    for (const entry of this.#entries.values()) {
      entry.listener?.close()
      entry.listener = undefined
    }
  }

  async #open(config: ListenerConfig): Promise<Entry> {
    const listener = await openListener(config, (socket) => this.#take(socket, entry))
    const entry: Entry = { listener, config: undefined, early: [] }
    return entry
  }

  #take(socket: Connection, entry: Entry): void {
    if (entry.config === undefined) entry.early.push(socket)
    else this.#accept(socket, entry.config)
  }
}
