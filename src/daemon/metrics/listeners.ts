/** The addresses at which metrics are served; those that old and new settings share stay open. */
import type { MetricsListener } from '../../config/config.ts'
import { formatAddress } from '../settings.ts'
import { type HttpListener, openHttp, type Pages } from './http.ts'

export class MetricsListeners implements Disposable {
  readonly #pages: Pages
  /** By address as the config has it. */
  #open = new Map<string, HttpListener>()

  constructor(pages: Pages) {
    this.#pages = pages
  }

  /** With real ports. */
  get addresses(): string[] {
    return [...this.#open.values()].map(({ address }) => address)
  }

  /**
   * Opens what `wanted` has beyond what is open. Nothing that is open is closed until `commit` is
   * called; `abort` undoes all. Throws LISTEN_FAILED, with nothing changed.
   */
  async prepare(wanted: readonly MetricsListener[]): Promise<{ commit(): void; abort(): void }> {
    const added = new Map<string, HttpListener>()
    const abort = (): void => {
      for (const listener of added.values()) listener.close()
    }
    try {
      for (const [index, at] of wanted.entries()) {
        const key = keyOf(at, index)
        if (!this.#open.has(key)) added.set(key, await openHttp(at, this.#pages))
      }
    } catch (error) {
      abort()
      throw error
    }
    return { abort, commit: () => this.#commit(wanted, added) }
  }

  [Symbol.dispose](): void {
    for (const listener of this.#open.values()) listener.close()
    this.#open = new Map()
  }

  #commit(wanted: readonly MetricsListener[], added: ReadonlyMap<string, HttpListener>): void {
    const before = this.#open
    const all = new Map([...before, ...added])
    const keys = wanted.map(keyOf)
    this.#open = new Map([...all].filter(([key]) => keys.includes(key)))
    for (const [key, listener] of before) if (!keys.includes(key)) listener.close()
  }
}

/** Of several free ports each is its own. */
function keyOf(at: MetricsListener, index: number): string {
  return at.port === 0 ? `${formatAddress(at)} ${index}` : formatAddress(at)
}
