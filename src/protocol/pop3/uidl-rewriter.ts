/**
 * A joined POP3 session whose UIDLs are others than those of its back-end (RFC 1939 section 7). Answers
 * to UIDL are rewritten line by line; all else passes as it is, whatever it looks like. Once it is not
 * known which command an answer is for, everything passes.
 *
 * Of an answer to UIDL no more is held than a line that has not ended.
 */
import { Pop3Watch } from './joined-watch.ts'
import { DueAnswers } from './due-answers.ts'
import { ListEnd } from './list-end.ts'

/**
 * `ready`: an answer is about to begin. `line`: one that passes, to its end. `uidl`, `uidls`: lines
 * that are rewritten. `through`: all passes.
 */
type State = 'ready' | 'line' | 'list' | 'uidl' | 'uidls' | 'through'

const lineFeed = 0x0a
const plus = 0x2b
/** RFC 2449 section 4 allows 512; longer ones pass. */
const lineBytes = 2048

const listed = /^(\d+ +)([!-~]+)/
const answered = /^(\+OK +\d+ +)([!-~]+)/i

export class UidlRewriter extends Pop3Watch {
  readonly #translate: (uidl: string) => string
  readonly #due = new DueAnswers()
  readonly #listEnd = new ListEnd()
  #state: State = 'ready'
  /** What comes after the line that passes. */
  #after: State = 'ready'
  /** A line to be rewritten that has not ended. */
  #held = ''

  /** `translate`: what the client is to know a message by. */
  constructor(translate: (uidl: string) => string) {
    super()
    this.#translate = translate
  }

  override fromClient(bytes: Buffer): void {
    this.#due.push(bytes)
    super.fromClient(bytes)
  }

  /**
   * What the client is to get for the first `length` bytes from the back-end; undefined: just these.
   * As a watch it is to see what the client gets.
   */
  rewrite(bytes: Buffer, length: number): Buffer | undefined {
    const view = length === bytes.length ? bytes : bytes.subarray(0, length)
    let text: string | undefined
    for (let at = 0; at < view.length; ) {
      if (this.#state === 'ready') this.#begin(view[at] ?? 0)
      const from = at
      if (this.#state === 'uidl' || this.#state === 'uidls') {
        text ??= view.toString('latin1', 0, from)
        const lineEnd = view.indexOf(lineFeed, at)
        at = lineEnd === -1 ? view.length : lineEnd + 1
        text += this.#rewriteLine(view.toString('latin1', from, at), lineEnd !== -1)
      } else {
        at = this.#pass(view, at)
        if (text !== undefined) text += view.toString('latin1', from, at)
      }
    }
    return text === undefined ? undefined : Buffer.from(text, 'latin1')
  }

  #begin(first: number): void {
    const due = this.#due.next(first)
    this.#state = due === undefined ? 'through' : due === 'uidl' ? 'uidl' : 'line'
    const isList = first === plus && (due === 'list' || due === 'uidls')
    this.#after = isList ? due : 'ready'
  }

  /** Returns where what passes ends. */
  #pass(view: Buffer, at: number): number {
    if (this.#state === 'line') {
      const end = view.indexOf(lineFeed, at)
      if (end === -1) return view.length
      this.#state = this.#after
      if (this.#state === 'list') this.#listEnd.begin()
      return end + 1
    }
    const end = this.#state === 'list' ? this.#listEnd.find(view, at) : undefined
    if (end !== undefined) this.#state = 'ready'
    return end ?? view.length
  }

  #rewriteLine(piece: string, isEnded: boolean): string {
    const line = this.#held + piece
    const isTooLong = line.length > lineBytes
    if (!isEnded && !isTooLong) {
      this.#held = line
      return ''
    }
    this.#held = ''
    const isAll = this.#state === 'uidls'
    if (!isEnded) {
      this.#after = isAll ? 'uidls' : 'ready'
      this.#state = 'line'
      return line
    }
    if (!isAll || line === '.\r\n') this.#state = 'ready'
    const [whole, before = '', uidl = ''] = (isAll ? listed : answered).exec(line) ?? []
    if (whole === undefined || isTooLong) return line
    return `${before}${this.#translate(uidl)}${line.slice(whole.length)}`
  }
}
