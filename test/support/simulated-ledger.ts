/**
 * What is to be in a user's home: each message that was told 250 and not deleted since, in its folder,
 * with the flags that its user gave. Look-alikes count as often as they are there.
 */
import {
  type Body,
  type Mailbox,
  type Message,
  type Path,
  isWithin,
  pathKey,
  pathOfKey,
  textOf,
} from './simulated-mailbox.ts'

export interface Entry {
  readonly body: Body
  flags: ReadonlySet<string>
  /** Written by somebody inside a back-end, past what lets users in. */
  readonly isInside: boolean
}

/** Messages that are there and should not be, or are not and should be. */
export interface Difference {
  readonly path: Path
  readonly entry: Entry | undefined
  readonly message: Message | undefined
}

export class Ledger {
  #folders = new Map<string, Entry[]>()
  /** Came to where the user lives no more, and was not brought over yet. */
  left: { readonly path: Path; readonly entry: Entry }[] = []

  constructor(first: Path) {
    this.create(first)
  }

  create(path: Path): void {
    const key = pathKey(path)
    if (!this.#folders.has(key)) this.#folders.set(key, [])
  }

  add(path: Path, entry: Entry): void {
    this.create(path)
    this.#folders.get(pathKey(path))?.push(entry)
  }

  /** Undefined where no entry is like the message. */
  find(path: Path, message: Message): Entry | undefined {
    const flags = textOf(message.flags)
    const all = this.#folders.get(pathKey(path)) ?? []
    return all.find(
      ({ body, flags: own }) => body.key === message.body.key && textOf(own) === flags,
    )
  }

  remove(path: Path, entry: Entry): void {
    const all = this.#folders.get(pathKey(path)) ?? []
    all.splice(all.indexOf(entry), 1)
  }

  drop(path: Path): void {
    this.#folders.delete(pathKey(path))
  }

  rename(from: Path, to: Path): void {
    const renamed = [...this.#folders].map(([key, entries]) => {
      const path = pathOfKey(key)
      const name = isWithin(path, from) ? [...to, ...path.slice(from.length)] : path
      return [pathKey(name), entries] as const
    })
    this.#folders = new Map(renamed)
  }

  /** A home that does not keep all flags has these. */
  keep(isKept: (flag: string) => boolean): void {
    for (const entries of this.#folders.values()) {
      for (const entry of entries) entry.flags = new Set([...entry.flags].filter(isKept))
    }
  }

  get paths(): Path[] {
    return [...this.#folders.keys()].map(pathOfKey)
  }

  /** Some that were left have been brought over. */
  brought(path: Path, messages: readonly Message[], isKept: Mailbox['keeps']): void {
    for (const { body } of messages) {
      const key = pathKey(path)
      const same = this.left.find(
        (left) => pathKey(left.path) === key && left.entry.body.key === body.key,
      )
      if (same === undefined) continue
      this.left = this.left.filter((left) => left !== same)
      const { body: own, flags, isInside } = same.entry
      this.add(path, { body: own, flags: new Set([...flags].filter(isKept)), isInside })
    }
  }

  /** By folder; equal in everything is matched. */
  compare(mailbox: Mailbox): Difference[] {
    const keys = new Set([...this.#folders.keys(), ...mailbox.folders.keys()])
    return [...keys].flatMap((key) => {
      const path = pathOfKey(key)
      const left = [...(this.#folders.get(key) ?? [])]
      const extra = (mailbox.folders.get(key)?.messages ?? []).filter((message) => {
        const flags = textOf(message.flags)
        const at = left.findIndex(
          (entry) =>
            entry.body.key === message.body.key &&
            entry.body.octets.equals(message.body.octets) &&
            textOf([...entry.flags].filter(mailbox.keeps)) === flags,
        )
        if (at !== -1) left.splice(at, 1)
        return at === -1
      })
      return [
        ...left.map((entry) => ({ path, entry, message: undefined })),
        ...extra.map((message) => ({ path, entry: undefined, message })),
      ]
    })
  }
}

export function describeDifference({ path, entry, message }: Difference): string {
  const where = path.join('/')
  if (entry !== undefined) {
    const inside = entry.isInside ? ', from inside' : ''
    return `missing in ${where}: ${entry.body.key} (${textOf(entry.flags)})${inside}`
  }
  if (message === undefined) return where
  const { uid, body, flags } = message
  return `not wanted in ${where}: ${uid} ${body.key} (${textOf(flags)})`
}
