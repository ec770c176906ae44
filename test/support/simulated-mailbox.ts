/**
 * A user's mailbox in the memory of a simulated back-end: folders with UIDs, flags and MODSEQs as
 * RFC 9051 and RFC 7162 have them. Names are Unicode, and folders known by the names on the way to
 * them; delimiters and prefixes are how a session writes them.
 */

/** What makes a message the same as another: octets and date. Equal of look-alikes. */
export interface Body {
  readonly octets: Buffer
  /** As IMAP writes it. */
  readonly date: string
  /** Short, and the same only for the same octets and date. */
  readonly key: string
}

export class Message {
  readonly uid: number
  readonly body: Body
  flags: ReadonlySet<string>
  modseq: number
  isGone = false
  /** Put there by the mover. */
  readonly isCopy: boolean

  constructor(uid: number, letter: Letter, modseq: number) {
    this.uid = uid
    this.body = letter.body
    this.flags = letter.flags
    this.isCopy = letter.isCopy ?? false
    this.modseq = modseq
  }
}

export interface Letter {
  readonly body: Body
  readonly flags: ReadonlySet<string>
  readonly isCopy?: boolean
}

/** Flags in one text, as they are compared. */
export function textOf(flags: Iterable<string>): string {
  return [...flags].sort().join(' ')
}

export class Folder {
  uidValidity: number
  uidNext = 1
  modseq = 1
  messages: readonly Message[] = []
  isSubscribed = false
  /** RFC 6154. */
  role: string | undefined
  /** Deleted, or numbered anew, under those who have it selected. */
  isGone = false

  constructor(uidValidity: number) {
    this.uidValidity = uidValidity
  }

  add(letter: Letter): Message {
    const message = new Message(this.uidNext++, letter, ++this.modseq)
    // Who looks at those of before has them still.
    this.messages = [...this.messages, message]
    return message
  }

  setFlags(message: Message, flags: ReadonlySet<string>): void {
    message.flags = flags
    message.modseq = ++this.modseq
  }

  remove(message: Message): void {
    message.isGone = true
    this.modseq++
    this.messages = this.messages.filter((one) => one !== message)
  }
}

/** Of the names on the way to a folder. */
export type Path = readonly string[]

export function pathKey(path: Path): string {
  return path.join('\u0000')
}

export function pathOfKey(key: string): Path {
  return key.split('\u0000')
}

export const inbox = 'INBOX'

export class Mailbox {
  readonly folders = new Map<string, Folder>()
  /** Whether it can have a flag. */
  readonly keeps: (flag: string) => boolean
  #validity: number

  constructor(firstValidity: number, keeps: (flag: string) => boolean) {
    this.#validity = firstValidity
    this.keeps = keeps
    this.create([inbox])
  }

  get(path: Path): Folder | undefined {
    return this.folders.get(pathKey(path))
  }

  /** A new number for each that ever was. */
  create(path: Path): Folder {
    const folder = new Folder(this.#validity++)
    this.folders.set(pathKey(path), folder)
    return folder
  }

  delete(path: Path): void {
    const folder = this.get(path)
    if (folder !== undefined) folder.isGone = true
    this.folders.delete(pathKey(path))
  }

  /** Those below it go along; each keeps its numbers. */
  rename(from: Path, to: Path): void {
    for (const key of this.folders.keys().toArray()) {
      const path = pathOfKey(key)
      if (!isWithin(path, from)) continue
      const folder = this.folders.get(key) as Folder
      this.folders.delete(key)
      this.folders.set(pathKey([...to, ...path.slice(from.length)]), folder)
    }
  }

  /** The store was made anew: the same messages with other numbers, under a UIDVALIDITY of its own. */
  renumber(path: Path): void {
    const old = this.get(path)
    if (old === undefined) return
    old.isGone = true
    const folder = this.create(path)
    folder.isSubscribed = old.isSubscribed
    folder.role = old.role
    for (const { body, flags, isCopy } of old.messages) folder.add({ body, flags, isCopy })
  }

  hasBelow(path: Path): boolean {
    return [...this.folders.keys()].some((key) => {
      const other = pathOfKey(key)
      return other.length > path.length && isWithin(other, path)
    })
  }
}

export function isWithin(path: Path, top: Path): boolean {
  return top.every((name, index) => path[index] === name)
}
