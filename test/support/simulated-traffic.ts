/**
 * What happens to a user's mailbox while somebody moves it: mail that comes, and what mail programs do,
 * at the home; and a writer inside a back-end that nobody keeps out. Each is put down in the ledger.
 */
import type { Random } from './random.ts'
import { keyOf } from './simulated-imap.ts'
import { type Entry, Ledger } from './simulated-ledger.ts'
import {
  type Body,
  inbox,
  type Mailbox,
  type Message,
  type Path,
  isWithin,
  pathKey,
  pathOfKey,
} from './simulated-mailbox.ts'

const names = ['Work', 'Sent', 'Entwürfe', 'R & D', 'a b', '2026']
const months = ['Jan', 'Feb', 'Jul', 'Dec']
const bodies = [
  '',
  'hello',
  ') * 1 FETCH (UID 1 FLAGS ())',
  '{5}',
  'Grüße\r\n\r\n.\r\n..',
  'x'.repeat(700),
]
const flags = ['\\Seen', '\\Flagged', '\\Answered', '\\Draft', '\\Deleted', '$Forwarded', 'Work']

export interface Habits {
  /** Messages, and folders, may go. */
  readonly deletes: boolean
  readonly files: boolean
}

/** So that a history is short. */
const [mostMessages, mostFolders] = [12, 5]

function countOf(mailbox: Mailbox): number {
  return mailbox.folders.values().reduce((sum, { messages }) => sum + messages.length, 0)
}

export class Traffic {
  readonly ledger = new Ledger([inbox])
  /** Where messages were that are there no more: folder and key. */
  readonly removed = new Set<string>()
  readonly #random: Random
  readonly #habits: Habits
  readonly #note: (what: string) => void
  readonly #written: Body[] = []
  #numbers = 0

  constructor(random: Random, habits: Habits, note: (what: string) => void) {
    this.#random = random
    this.#note = note
    this.#habits = habits
  }

  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.#random() * items.length)]
  }

  /** One of what senders and mail programs do. */
  work(home: Mailbox): void {
    const chance = this.#random()
    const isFull = countOf(home) >= mostMessages && this.#habits.deletes
    if (isFull || (chance >= 0.6 && chance < 0.75)) this.delete(home)
    else if (chance < 0.35) this.deliver(home, this.#random() < 0.7 ? [inbox] : this.#anyPath(home))
    else if (chance < 0.6) this.#flag(home)
    else if (chance < 0.9) this.#file(home)
    else if (chance < 0.95 && home.folders.size < mostFolders) this.#makeFolder(home)
    else if (chance < 0.97) this.#renameFolder(home)
    else if (chance > 0.98) this.#deleteFolder(home)
  }

  /** Mail comes. */
  deliver(mailbox: Mailbox, path: Path): void {
    this.ledger.add(path, this.#put(mailbox, path, false))
  }

  /** Somebody inside adds one. `isLeft`: where the user lives no more. */
  writeInside(mailbox: Mailbox, isLeft: boolean): void {
    const path = this.#random() < 0.6 ? [inbox] : this.#anyPath(mailbox)
    const entry = this.#put(mailbox, path, true)
    if (isLeft) this.ledger.left.push({ path, entry })
    else this.ledger.add(path, entry)
  }

  #put(mailbox: Mailbox, path: Path, isInside: boolean): Entry {
    const body = this.#body()
    const given = this.#random() < 0.3 ? this.#flags(mailbox) : new Set<string>()
    mailbox.get(path)?.add({ body, flags: given })
    this.#note(`${isInside ? 'from inside' : 'mail'} in ${path.join('/')}: ${body.key}`)
    return { body, flags: given, isInside }
  }

  #flags({ keeps }: Mailbox): ReadonlySet<string> {
    return new Set(flags.filter(() => this.#random() < 0.25).filter(keeps))
  }

  /** Now and then one that was there before. */
  #body(): Body {
    const known = this.pick(this.#written)
    const chance = this.#random()
    if (known !== undefined && chance < 0.15) return known
    const day = String(Math.ceil(this.#random() * 28)).padStart(2, ' ')
    const date = `${day}-${this.pick(months)}-2026 02:44:25 +0100`
    if (known !== undefined && chance < 0.2) {
      return { octets: known.octets, date, key: keyOf(known.octets, date) }
    }
    const number = ++this.#numbers
    const id =
      this.#random() < 0.3 ? '' : `Message-Id: <${this.#random() < 0.2 ? 1 : number}@x>\r\n`
    const text = `X-Number: ${number}\r\nSubject: no\r\n${id}\r\n${this.pick(bodies)}`
    const octets = Buffer.from(text)
    const body = { octets, date, key: keyOf(octets, date) }
    this.#written.push(body)
    return body
  }

  #anyPath(mailbox: Mailbox): Path {
    return pathOfKey(this.pick([...mailbox.folders.keys()]) ?? inbox)
  }

  /** A message that the ledger has, and not one that is there besides. */
  #any(mailbox: Mailbox) {
    const path = this.#anyPath(mailbox)
    const folder = mailbox.get(path)
    const message = this.pick(folder?.messages ?? [])
    const entry = message && this.ledger.find(path, message)
    return folder === undefined || message === undefined || entry === undefined
      ? undefined
      : { path, folder, message, entry }
  }

  #tell(what: string, { path, message }: { readonly path: Path; readonly message: Message }): void {
    this.#note(`${what}: ${path.join('/')} ${message.uid} ${message.body.key}`)
  }

  #flag(home: Mailbox): void {
    const one = this.#any(home)
    if (one === undefined) return
    const given = this.#flags(home)
    one.folder.setFlags(one.message, given)
    this.#tell('flags', one)
    one.entry.flags = given
  }

  delete(home: Mailbox): void {
    const one = this.#any(home)
    if (one === undefined || !this.#habits.deletes) return
    one.folder.remove(one.message)
    this.ledger.remove(one.path, one.entry)
    this.#tell('deletes', one)
    this.#isGone(one.path, one.message)
  }

  #isGone(path: Path, { body }: Message): void {
    this.removed.add(`${pathKey(path)} ${body.key}`)
  }

  /** Into another folder, or a copy into the same. */
  #file(home: Mailbox): void {
    const one = this.#any(home)
    const path = this.#anyPath(home)
    const folder = home.get(path)
    if (one === undefined || folder === undefined) return
    const { message, entry } = one
    folder.add({ body: entry.body, flags: entry.flags })
    this.ledger.add(path, { body: entry.body, flags: entry.flags, isInside: false })
    this.#tell(`files into ${path.join('/')}`, one)
    if (!this.#habits.deletes || this.#random() < 0.3) return
    one.folder.remove(message)
    this.ledger.remove(one.path, entry)
    this.#isGone(one.path, message)
  }

  #newPath(mailbox: Mailbox): Path | undefined {
    const top = this.#random() < 0.4 ? this.#anyPath(mailbox) : []
    const name = this.pick(names) ?? ''
    const path = top[0] === inbox || top.length > 2 ? [name] : [...top, name]
    return mailbox.get(path) === undefined ? path : undefined
  }

  #makeFolder(home: Mailbox): void {
    const path = this.#newPath(home)
    if (path === undefined || !this.#habits.files) return
    const folder = home.create(path)
    this.#note(`makes ${path.join('/')}`)
    folder.isSubscribed = this.#random() < 0.5
    this.ledger.create(path)
  }

  #renameFolder(home: Mailbox): void {
    const from = this.#anyPath(home)
    const to = this.#newPath(home)
    if (to === undefined || from[0] === inbox || !this.#mayLose) return
    if (isWithin(to, from) || home.hasBelow(to)) return
    this.#note(`renames ${from.join('/')} to ${to.join('/')}`)
    this.#allGone(home, from)
    home.rename(from, to)
    this.ledger.rename(from, to)
  }

  #deleteFolder(home: Mailbox): void {
    const path = this.#anyPath(home)
    if (path[0] === inbox || !this.#mayLose) return
    for (const message of home.get(path)?.messages ?? []) {
      this.#isGone(path, message)
      message.isGone = true
    }
    this.#note(`deletes ${path.join('/')}`)
    home.delete(path)
    this.ledger.drop(path)
  }

  get #mayLose(): boolean {
    return this.#habits.deletes && this.#habits.files
  }

  #allGone(home: Mailbox, top: Path): void {
    for (const [key, { messages }] of home.folders) {
      const path = pathOfKey(key)
      if (isWithin(path, top)) for (const message of messages) this.#isGone(path, message)
    }
  }
}
