/**
 * What POP3 clients know the messages of a mailbox by that was brought over: by the UIDLs that they had
 * before (RFC 1939 section 7). Others keep the UIDL that their back-end has for them, unless it could
 * be taken for that of a message that came along.
 */
import { createHash } from 'node:crypto'

/** RFC 1939 section 7. */
const mostOctets = 70
const mark = '~'

export class UidlTable {
  /** As state.db keeps it. */
  readonly text: string
  #read: { readonly before: ReadonlyMap<string, string>; readonly taken: Set<string> } | undefined

  /** What `text` of another one was. It is read when it is first asked. */
  constructor(text: string) {
    this.text = text
  }

  /** UIDLs at the back-end, each with what it was before. Both are of `!` to `~` only. */
  static of(before: ReadonlyMap<string, string>): UidlTable {
    let prefix = mark
    const isBegun = (): boolean => before.values().some((uidl) => uidl.startsWith(prefix))
    while (isBegun()) prefix += mark
    const lines = [...before].map(([uidl, old]) => `${uidl} ${old}\n`)
    return new UidlTable(`${prefix}\n${lines.join('')}`)
  }

  /** By the UIDL at the back-end. */
  get before(): ReadonlyMap<string, string> {
    return this.#pairs().before
  }

  /** What a client is told of a message that has this UIDL at the back-end. Never one for two. */
  translate(uidl: string): string {
    const { before, taken } = this.#pairs()
    const old = before.get(uidl)
    if (old !== undefined) return old
    // No UIDL of before begins so; what has been told with it must not be what another one has.
    const prefix = this.#prefix
    if (!taken.has(uidl) && !uidl.startsWith(prefix)) return uidl
    const other = prefix + uidl
    if (other.length <= mostOctets) return other
    return prefix + createHash('sha256').update(uidl).digest('base64url')
  }

  /** Without messages that the back-end does not have any more; undefined where nothing is left. */
  keeping(present: ReadonlySet<string>): UidlTable | undefined {
    const { before } = this.#pairs()
    // Whoever has been told another name because of one of before is to go on by that name.
    const kept = [...before].filter(([uidl, old]) => present.has(uidl) || present.has(old))
    if (!kept.some(([uidl]) => present.has(uidl))) return undefined
    const lines = kept.map(([uidl, old]) => `${uidl} ${old}\n`)
    return new UidlTable(`${this.#prefix}\n${lines.join('')}`)
  }

  get #prefix(): string {
    return this.text.slice(0, this.text.indexOf('\n'))
  }

  #pairs(): { readonly before: ReadonlyMap<string, string>; readonly taken: Set<string> } {
    if (this.#read !== undefined) return this.#read
    const before = new Map<string, string>()
    const lines = this.text.split('\n')
    for (let index = 1; index < lines.length; index++) {
      const line = lines[index] ?? ''
      const space = line.indexOf(' ')
      if (space !== -1) before.set(line.slice(0, space), line.slice(space + 1))
    }
    this.#read = { before, taken: new Set(before.values()) }
    return this.#read
  }
}
