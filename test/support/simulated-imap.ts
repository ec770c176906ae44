/**
 * An IMAP4rev1 server for one mailbox in memory, one session of it: RFC 3501, RFC 4315 (UIDPLUS),
 * RFC 3502 (MULTIAPPEND), RFC 7888 (LITERAL+), RFC 7162 (CONDSTORE), RFC 5258 and 5819 (LIST), RFC
 * 4731 (ESEARCH), RFC 6154 (SPECIAL-USE). What servers may do in this way or that is in `Traits`.
 * It knows the commands that copying a mailbox sends, and says BAD to others.
 */
import type { Folder, Letter, Mailbox, Message, Path } from './simulated-mailbox.ts'
import { type Command, isInSet, listOf, stringOf, type Word } from './simulated-imap-input.ts'
import { listFolders, type Naming, pathOfWire, quote } from './simulated-imap-names.ts'
import { fetched, isMarkedSince } from './simulated-imap-fetch.ts'
import { type FolderFigures, figuresOf, View } from './simulated-imap-view.ts'

export interface Traits extends Naming {
  /** After the login. */
  readonly offers: ReadonlySet<string>
  readonly style: 'master' | 'authzid'
  /** When a session is told what others have done to its folder. */
  readonly tells: 'at NOOP' | 'always'
  /** What FETCH says of a message that is gone, and of which the session was not told. */
  readonly gone: 'kept' | 'left out' | 'empty'
  /** What becomes of a session whose folder is deleted or numbered anew. */
  readonly lost: 'cut' | 'kept'
  /** Any keyword can be kept, or these flags only. */
  readonly keeps: 'all' | 'system flags'
}

export interface Answer {
  readonly parts: readonly (string | Buffer)[]
  /** The connection ends after it. */
  readonly isLast?: boolean
}

/** Who is told what a session does to the mailbox. */
export interface Watcher {
  /** Before it is done. */
  changes(what: string): void
  added(messages: readonly Message[], path: Path): void
}

const systemFlags = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft']

export function keeps({ keeps: what }: Pick<Traits, 'keeps'>, flag: string): boolean {
  return what === 'all' || systemFlags.includes(flag)
}

export class ImapSession {
  readonly #mailbox: Mailbox
  readonly traits: Traits
  readonly #watcher: Watcher
  #isIn = false
  #view: View | undefined
  #knowsModseq = false

  constructor(mailbox: Mailbox, traits: Traits, watcher: Watcher) {
    this.#mailbox = mailbox
    this.traits = traits
    this.#watcher = watcher
  }

  get isLoggedIn(): boolean {
    return this.#isIn
  }

  get greeting(): string {
    return `* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+] ready\r\n`
  }

  get #capabilities(): string {
    return ['IMAP4rev1', ...this.traits.offers].join(' ')
  }

  #offers(name: string): boolean {
    return this.traits.offers.has(name)
  }

  handle({ tag, name, words }: Command): Answer {
    if (!this.#isIn && name !== 'LOGIN' && name !== 'AUTHENTICATE') {
      return { parts: [`${tag} BAD not yet\r\n`] }
    }
    if (name === 'LOGOUT') {
      return { parts: [`* BYE until then\r\n${tag} OK done\r\n`], isLast: true }
    }
    if (this.#view?.folder.isGone === true && this.traits.lost === 'cut') {
      return { parts: ['* BYE the folder is gone\r\n'], isLast: true }
    }
    const said: (string | Buffer)[] = []
    const status = this.#perform(name, words, said)
    // RFC 9051 section 7.5.1: not while FETCH, STORE or SEARCH are answered; with UID it may be.
    const isTold = this.traits.tells === 'always' || name === 'NOOP' || name === 'UID EXPUNGE'
    const lines = isTold ? (this.#view?.sync() ?? []) : []
    const told = lines.map((line) => `${line}\r\n`)
    return { parts: [...said, ...told, `${tag} ${status}\r\n`] }
  }

  #perform(name: string, words: readonly Word[], said: (string | Buffer)[]): string {
    const say = (line: string): void => void said.push(`${line}\r\n`)
    const [first, second] = words
    switch (name) {
      case 'LOGIN':
        return this.#logIn(`${stringOf(first)} ${stringOf(second)}`)
      case 'AUTHENTICATE':
        return this.#logIn(Buffer.from(stringOf(second), 'base64').toString())
      case 'CAPABILITY':
        say(`* CAPABILITY ${this.#capabilities}`)
        return 'OK done'
      case 'NOOP':
        return 'OK done'
      case 'NAMESPACE':
        say(`* NAMESPACE ((${quote(this.traits.prefix)} ${quote(this.traits.delimiter)})) NIL NIL`)
        return 'OK done'
      case 'LIST':
      case 'LSUB':
        return this.#list(name, words, say)
      case 'STATUS':
        return this.#status(stringOf(first), listOf(second), say)
      case 'SELECT':
      case 'EXAMINE':
        return this.#select(stringOf(first), name === 'EXAMINE', say)
      case 'CREATE':
      case 'DELETE':
      case 'SUBSCRIBE':
      case 'UNSUBSCRIBE':
        return this.#changeFolder(name, words)
      case 'APPEND':
        return this.#append(words)
      default:
        return this.#perform2(name, words, said)
    }
  }

  /** Of a selected folder. */
  #perform2(name: string, words: readonly Word[], said: (string | Buffer)[]): string {
    const view = this.#view
    if (view === undefined) return 'BAD unknown command, or no folder is selected'
    const set = stringOf(words[0])
    switch (name) {
      case 'CLOSE':
      case 'UNSELECT':
        this.#view = undefined
        return 'OK done'
      case 'UID SEARCH':
        return this.#search(view, words, said)
      case 'UID FETCH':
        return this.#fetch(view, words, said)
      case 'UID STORE':
        return this.#store(view, set, words)
      case 'UID EXPUNGE':
        return this.#expunge(view, set)
      default:
        return 'BAD unknown command'
    }
  }

  #logIn(said: string): string {
    const user = 'ann@example.com'
    const isRight =
      this.traits.style === 'master'
        ? said === `${user}*mailmux secret`
        : said === `${user}\u0000mailmux\u0000secret`
    this.#isIn = isRight
    return isRight ? `OK [CAPABILITY ${this.#capabilities}] logged in` : 'NO wrong'
  }

  #list(name: 'LIST' | 'LSUB', words: readonly Word[], say: (line: string) => void): string {
    const [reference, pattern, returned, options] = words
    const { delimiter } = this.traits
    const mark = quote(delimiter)
    if (stringOf(pattern) === '') {
      say(`* ${name} (\\Noselect) ${mark} ""`)
      return 'OK done'
    }
    const asked = returned === undefined ? [] : listOf(options)
    const isSubscribedAsked = asked.some((one) => stringOf(one).toUpperCase() === 'SUBSCRIBED')
    const at = asked.findIndex((one) => stringOf(one).toUpperCase() === 'STATUS')
    const found = listFolders(this.#mailbox, this.traits, stringOf(reference) + stringOf(pattern))
    for (const { wire, folder, attributes } of found) {
      if (name === 'LSUB' && folder?.isSubscribed !== true) continue
      const isTold = isSubscribedAsked && folder?.isSubscribed === true
      const all = isTold ? [...attributes, '\\Subscribed'] : attributes
      say(`* ${name} (${all.join(' ')}) ${mark} ${quote(wire)}`)
      if (at !== -1 && folder !== undefined) this.#tellStatus(wire, folder, asked[at + 1], say)
    }
    return 'OK done'
  }

  #figures(folder: Folder): FolderFigures {
    const view = this.#view?.folder === folder ? this.#view : undefined
    return view !== undefined && this.traits.tells === 'at NOOP'
      ? view.figures
      : figuresOf(folder, folder.messages)
  }

  #tellStatus(
    wire: string,
    folder: Folder,
    items: Word | undefined,
    say: (line: string) => void,
  ): void {
    const { messages, uidNext, uidValidity, modseq, bytes } = this.#figures(folder)
    const known: Readonly<Record<string, number>> = {
      MESSAGES: messages,
      UIDNEXT: uidNext,
      UIDVALIDITY: uidValidity,
      SIZE: bytes,
      ...(this.#offers('CONDSTORE') ? { HIGHESTMODSEQ: modseq } : {}),
    }
    const told = listOf(items).flatMap((item) => {
      const name = stringOf(item).toUpperCase()
      return known[name] === undefined ? [] : [`${name} ${known[name]}`]
    })
    say(`* STATUS ${quote(wire)} (${told.join(' ')})`)
  }

  #find(wire: string): Folder | undefined {
    const path = pathOfWire(wire, this.traits)
    return path === undefined ? undefined : this.#mailbox.get(path)
  }

  #status(wire: string, items: readonly Word[], say: (line: string) => void): string {
    const folder = this.#find(wire)
    if (folder === undefined) return 'NO [NONEXISTENT] there is no such folder'
    this.#tellStatus(wire, folder, items, say)
    return 'OK done'
  }

  #select(wire: string, isReadOnly: boolean, say: (line: string) => void): string {
    this.#view = undefined
    const folder = this.#find(wire)
    if (folder === undefined) return 'NO [NONEXISTENT] there is no such folder'
    this.#view = new View(folder, isReadOnly)
    const kept = this.traits.keeps === 'all' ? [...systemFlags, '\\*'] : systemFlags
    say(`* FLAGS (${systemFlags.join(' ')})`)
    say(`* OK [PERMANENTFLAGS (${isReadOnly ? '' : kept.join(' ')})] these`)
    say(`* ${folder.messages.length} EXISTS`)
    say('* 0 RECENT')
    say(`* OK [UIDVALIDITY ${folder.uidValidity}] of this`)
    say(`* OK [UIDNEXT ${folder.uidNext}] next`)
    if (this.#offers('CONDSTORE')) say(`* OK [HIGHESTMODSEQ ${folder.modseq}] highest`)
    return `OK [${isReadOnly ? 'READ-ONLY' : 'READ-WRITE'}] done`
  }

  #changeFolder(name: string, [first, use]: readonly Word[]): string {
    const wire = stringOf(first)
    this.#watcher.changes(`${name} ${wire}`)
    const path = pathOfWire(wire, this.traits)
    if (path === undefined) return 'NO [CANNOT] no name of a folder'
    const folder = this.#mailbox.get(path)
    if (name === 'CREATE') {
      if (folder !== undefined) return 'NO [ALREADYEXISTS] it is there'
      const made = this.#mailbox.create(path)
      const [, roles] = listOf(use)
      if (roles !== undefined) made.role = stringOf(listOf(roles)[0])
      return 'OK done'
    }
    if (folder === undefined) {
      // RFC 9051 section 6.3.8: UNSUBSCRIBE of what is not there is no failure.
      return name === 'UNSUBSCRIBE' ? 'OK done' : 'NO [NONEXISTENT] there is no such folder'
    }
    if (name === 'DELETE') this.#mailbox.delete(path)
    else folder.isSubscribed = name === 'SUBSCRIBE'
    return 'OK done'
  }

  #search(view: View, words: readonly Word[], said: (string | Buffer)[]): string {
    const uids = view.messages.map(({ uid }) => uid)
    if (stringOf(words[0]).toUpperCase() !== 'RETURN') said.push(`* SEARCH ${uids.join(' ')}\r\n`)
    else {
      const all = uids.length === 0 ? '' : ` ALL ${uids.join()}`
      said.push(`* ESEARCH (TAG "x") UID${all}\r\n`)
    }
    return 'OK done'
  }

  #fetch(view: View, [set, items, options]: readonly Word[], said: (string | Buffer)[]): string {
    const since = isMarkedSince(options)
    if (since !== undefined) this.#knowsModseq = true
    const names = (Array.isArray(items) ? items : [items]).map(stringOf)
    for (const message of view.messages) {
      if (!isInSet(stringOf(set), message.uid, view.last)) continue
      if (since !== undefined && message.modseq <= since) continue
      if (message.isGone && this.traits.gone === 'left out') continue
      const isEmpty = message.isGone && this.traits.gone === 'empty'
      const isModseqTold = this.#knowsModseq && this.#offers('CONDSTORE')
      const parts = fetched(message, names, { isEmpty, isModseqTold })
      said.push(`* ${view.numberOf(message)} FETCH (`, ...parts, ')\r\n')
      if (names.includes('FLAGS')) view.tell(message)
    }
    return 'OK done'
  }

  /** Of messages that the session knows of. */
  #store(view: View, set: string, [, how, flags]: readonly Word[]): string {
    if (view.isReadOnly) return 'NO [NOPERM] read only'
    this.#watcher.changes(`STORE ${set}`)
    const given = listOf(flags)
      .map(stringOf)
      .filter((flag) => keeps(this.traits, flag))
    for (const message of view.messages) {
      if (message.isGone || !isInSet(set, message.uid, view.last)) continue
      const isAdded = stringOf(how).startsWith('+')
      view.folder.setFlags(message, new Set(isAdded ? [...message.flags, ...given] : given))
      view.tell(message)
    }
    return 'OK done'
  }

  #expunge(view: View, set: string): string {
    if (view.isReadOnly) return 'NO [NOPERM] read only'
    if (!this.#offers('UIDPLUS')) return 'BAD unknown command'
    this.#watcher.changes(`EXPUNGE ${set}`)
    for (const message of view.messages) {
      if (message.isGone || !isInSet(set, message.uid, view.last)) continue
      if (message.flags.has('\\Deleted')) view.folder.remove(message)
    }
    return 'OK done'
  }

  #append([name, ...rest]: readonly Word[]): string {
    const path = pathOfWire(stringOf(name), this.traits)
    const folder = path === undefined ? undefined : this.#mailbox.get(path)
    if (path === undefined || folder === undefined) return 'NO [TRYCREATE] there is no such folder'
    this.#watcher.changes(`APPEND ${stringOf(name)}`)
    const letters = lettersOf(rest, this.traits)
    if (letters.length > 1 && !this.#offers('MULTIAPPEND')) return 'BAD one message at a time'
    const added = letters.map((letter) => folder.add(letter))
    this.#watcher.added(added, path)
    if (!this.#offers('UIDPLUS')) return 'OK done'
    const uids = added.map(({ uid }) => uid)
    return `OK [APPENDUID ${folder.uidValidity} ${uids.join()}] done`
  }
}

/** What one APPEND is to add. */
function lettersOf(words: readonly Word[], traits: Traits): Letter[] {
  const letters: Letter[] = []
  let [flags, date]: [readonly string[], string] = [[], '']
  for (const word of words) {
    if (Array.isArray(word)) flags = word.map(stringOf).filter((flag) => keeps(traits, flag))
    else if (!Buffer.isBuffer(word)) date = stringOf(word)
    else {
      const octets = Buffer.from(word)
      const body = { octets, date, key: keyOf(octets, date) }
      letters.push({ body, flags: new Set(flags), isCopy: true })
      flags = []
      date = ''
    }
  }
  return letters
}

/** Short; octets of one length and another first line are other ones. */
export function keyOf(octets: Buffer, date: string): string {
  const [first = ''] = octets.toString('latin1', 0, 80).split('\r\n', 1)
  return `${first} ${octets.length} ${date.trim()}`
}
