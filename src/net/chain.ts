/**
 * Things that come and go by the thousand, in the order of their coming. A Set would do, were it not for
 * how V8 collects: each table that a Set has outgrown refers to the next one, so that one that has
 * grown old keeps all tables after it, and with them what was ever in them, until the next full
 * collection. Here nothing refers to what was removed.
 */
export interface Link<Item> {
  readonly item: Item
  before: Link<Item> | undefined
  after: Link<Item> | undefined
}

export class Chain<Item> implements Iterable<Item> {
  #first: Link<Item> | undefined
  #last: Link<Item> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** What it returns removes it again. */
  add(item: Item): Link<Item> {
    const before = this.#last
    const link: Link<Item> = { item, before, after: undefined }
    if (before === undefined) this.#first = link
    else before.after = link
    this.#last = link
    this.#size++
    return link
  }

  /** Once for each that was added. */
  remove(link: Link<Item>): void {
    const { before, after } = link
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    // One that has grown old must not keep those that came after it.
    link.before = undefined
    link.after = undefined
    this.#size--
  }

  /** Those that are in it now, whatever becomes of them meanwhile. */
  [Symbol.iterator](): Iterator<Item> {
    const items: Item[] = []
    for (let link = this.#first; link !== undefined; link = link.after) items.push(link.item)
    return items[Symbol.iterator]()
  }
}
