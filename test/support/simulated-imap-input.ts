/** What a client of a simulated IMAP server sends: octets → commands. RFC 9051 sections 4.3 and 9. */

/** An atom or a string, octets of a literal, or a list. */
export type Word = string | Buffer | readonly Word[]

export interface Command {
  readonly tag: string
  /** In capitals; with `UID ` before it where that is said. */
  readonly name: string
  readonly words: readonly Word[]
}

interface Literal {
  readonly sizeBytes: number
  readonly isAsked: boolean
}

/** What comes next of what has come so far. */
export type Input =
  | { readonly kind: 'command'; readonly command: Command }
  /** It waits for a `+`. `begun`: what there is of the command. */
  | { readonly kind: 'asking'; readonly begun: Command }
  | { readonly kind: 'line'; readonly text: string }

const literalMark = /~?\{(\d+)(\+?)\}$/

export class CommandReader {
  #bytes = Buffer.alloc(0)
  /** Lines and literals of a command, in turn. */
  #parts: (string | Buffer)[] = []
  #literal: Literal | undefined
  #isAsking = false
  /** The next line is no command: what a mechanism wants to hear. */
  isAnswer = false

  push(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
  }

  /** Part of a command is there, and not all of it. */
  get isWithin(): boolean {
    return this.#bytes.length > 0 || this.#parts.length > 0
  }

  /** Undefined until more has come. */
  next(): Input | undefined {
    if (this.#isAsking) return undefined
    for (;;) {
      if (this.#literal !== undefined) {
        const { sizeBytes } = this.#literal
        if (this.#bytes.length < sizeBytes) return undefined
        this.#parts.push(this.#cut(sizeBytes))
        this.#literal = undefined
      }
      const end = this.#bytes.indexOf('\r\n')
      if (end === -1) return undefined
      const line = this.#cut(end).toString('latin1')
      this.#cut(2)
      if (this.isAnswer) {
        this.isAnswer = false
        return { kind: 'line', text: line }
      }
      const [mark = '', digits, plus] = literalMark.exec(line) ?? []
      this.#parts.push(mark === '' ? line : line.slice(0, -mark.length))
      if (digits === undefined) {
        const command = commandOf(this.#parts)
        this.#parts = []
        return { kind: 'command', command }
      }
      this.#literal = { sizeBytes: Number(digits), isAsked: plus === '' }
      if (this.#literal.isAsked) {
        this.#isAsking = true
        return { kind: 'asking', begun: commandOf(this.#parts) }
      }
    }
  }

  /** The `+` has been sent; or the command was refused instead. */
  goOn(isRefused = false): void {
    this.#isAsking = false
    if (!isRefused) return
    this.#parts = []
    this.#literal = undefined
  }

  #cut(bytes: number): Buffer {
    const cut = this.#bytes.subarray(0, bytes)
    this.#bytes = this.#bytes.subarray(bytes)
    return cut
  }
}

function commandOf(parts: readonly (string | Buffer)[]): Command {
  const [first = '', ...rest] = parts
  const text = String(first)
  const [, tag = '', name = '', more = ''] = /^(\S+) ((?:UID )?\S+)(?: ([^]*))?$/i.exec(text) ?? []
  return { tag, name: name.toUpperCase(), words: wordsOf([more, ...rest]) }
}

const quoted = /"((?:[^"\\]|\\.)*)"/y
const atomic = /(?:[^\s()"[]|\[[^\]]*\])+/y

function wordsOf(parts: readonly (string | Buffer)[]): readonly Word[] {
  const top: Word[] = []
  const stack: Word[][] = [top]
  for (const part of parts) {
    if (Buffer.isBuffer(part)) stack.at(-1)?.push(part)
    else readText(part, stack)
  }
  return top
}

function readText(text: string, stack: Word[][]): void {
  for (let at = 0; at < text.length; ) {
    const list = stack.at(-1) as Word[]
    if (text[at] === '(') {
      const inner: Word[] = []
      list.push(inner)
      stack.push(inner)
      at++
    } else if (text[at] === ')') {
      stack.pop()
      at++
    } else if (text[at] === '"') {
      quoted.lastIndex = at
      const [all = '"', inner = ''] = quoted.exec(text) ?? []
      list.push(inner.replace(/\\(.)/g, '$1'))
      at += all.length
    } else {
      atomic.lastIndex = at
      const [word = ''] = atomic.exec(text) ?? []
      if (word !== '') list.push(word)
      at += Math.max(1, word.length)
    }
  }
}

/** '' where it is a list. */
export function stringOf(word: Word | undefined): string {
  if (word === undefined || Array.isArray(word)) return ''
  return Buffer.isBuffer(word) ? word.toString('latin1') : (word as string)
}

export function listOf(word: Word | undefined): readonly Word[] {
  return Array.isArray(word) ? (word as readonly Word[]) : []
}

/** Whether a set such as `1:3,7:*` has a number; `last`: what `*` stands for. */
export function isInSet(set: string, number: number, last: number): boolean {
  return set.split(',').some((part) => {
    const [one = 0, other = one] = part.split(':').map((end) => (end === '*' ? last : Number(end)))
    return number >= Math.min(one, other) && number <= Math.max(one, other)
  })
}
