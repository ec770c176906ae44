/** Lines at the bottom of a terminal that are written anew as things change; nothing elsewhere. */
import { printable } from './printable.ts'

/** No more often than this; milliseconds. */
const redrawMs = 100

export class LiveLines implements Disposable {
  readonly #stream: NodeJS.WriteStream
  readonly #lines = new Map<string, string>()
  #drawn = 0
  #drawnAt = Number.NEGATIVE_INFINITY

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  /** The line of that name says this from now on; without a text it goes. */
  set(name: string, text: string | undefined): void {
    if (!this.#stream.isTTY) return
    if (text === undefined) this.#lines.delete(name)
    else this.#lines.set(name, text)
    if (text === undefined || performance.now() - this.#drawnAt >= redrawMs) this.#draw()
  }

  /** Takes the lines away, until the next change, for something else to be written. */
  clear(): void {
    if (this.#drawn === 0) return
    // Up so many lines, to the first column, and what is below is cleared.
    this.#stream.write(`\u001b[${this.#drawn}F\u001b[J`)
    this.#drawn = 0
  }

  [Symbol.dispose](): void {
    this.#lines.clear()
    this.clear()
  }

  #draw(): void {
    this.clear()
    const room = Math.max(1, (this.#stream.rows ?? 24) - 1)
    const width = Math.max(20, this.#stream.columns ?? 80) - 1
    const shown = [...this.#lines.values()].slice(0, room)
    for (const line of shown) this.#stream.write(`${printable(line).slice(0, width)}\n`)
    this.#drawn = shown.length
    this.#drawnAt = performance.now()
  }
}
