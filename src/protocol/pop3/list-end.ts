/** Finds where a list of lines ends, with a dot of its own (RFC 1939 section 3), in any chunks. */

const endOfList = Buffer.from('\r\n.\r\n')
const seamBytes = endOfList.length - 1

export class ListEnd {
  /** The last bytes, where the end may have begun. */
  #seam = ''

  /** An empty list ends right after the line that announces it. */
  begin(): void {
    this.#seam = '\r\n'
  }

  /** Where the bytes after the list begin, of those from `at` on; undefined: it goes on. */
  find(view: Buffer, at: number): number | undefined {
    const head = view.toString('latin1', at, Math.min(view.length, at + seamBytes))
    const before = this.#seam
    const early = `${before}${head}`.indexOf('\r\n.\r\n')
    const found = early === -1 ? view.indexOf(endOfList, at) : early
    if (found === -1) {
      const tail = view.toString('latin1', Math.max(at, view.length - seamBytes))
      this.#seam = (before + tail).slice(-seamBytes)
      return undefined
    }
    return found + endOfList.length + (early === -1 ? 0 : at - before.length)
  }
}
