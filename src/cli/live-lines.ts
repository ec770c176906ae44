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

  /** The line of that name says this from now on. */
  set(name: string, text: string): void {
    if (!this.#stream.isTTY) return
    this.#lines.set(name, text)
    if (performance.now() - this.#drawnAt >= redrawMs) this.#draw()
  }

  /** The line of that name goes, and `write` may write what stays in its stead. */
  passBy(name: string, write: () => void): void {
    this.#lines.delete(name)
    this.#clear()
    write()
    if (this.#stream.isTTY) this.#draw()
  }

  #clear(): void {
    if (this.#drawn === 0) return
    // Up so many lines, to the first column, and what is below is cleared.
    this.#stream.write(`\u001b[${this.#drawn}F\u001b[J`)
    this.#drawn = 0
  }

  [Symbol.dispose](): void {
    this.#lines.clear()
    this.#clear()
  }

  #draw(): void {
    this.#clear()
    const room = Math.max(1, (this.#stream.rows ?? 24) - 1)
    const width = Math.max(20, this.#stream.columns ?? 80) - 1
    const shown = [...this.#lines.values()].slice(0, room)
    for (const line of shown) this.#stream.write(`${printable(line).slice(0, width)}\n`)
    this.#drawn = shown.length
    this.#drawnAt = performance.now()
  }
}
