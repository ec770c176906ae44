/**
 * The part of ManageSieve's grammar that is spoken before login. RFC 5804 section 4. Commands and
 * responses are words, strings and literals as IMAP has them, so they are read as IMAP's are. Octets
 * are latin1 strings.
 */
import { isUtf8 } from 'node:buffer'
import { limits } from '../../base/limit.ts'
import { type Part, readArguments, readLiteralMark, type Token } from '../imap/grammar.ts'

/**
 * Puts together what belongs to one command or response: a line, or lines with literals between
 * them. Who gives it a line must give it `octetsDue` octets before the next one. A client's literal
 * without a plus is not asked for either: ManageSieve knows no such answer.
 */
export class Assembly {
  octetsDue = 0
  /** Bytes so far, those included that are due. */
  size = 0
  literals = 0
  #parts: Part[] = []

  /** True where that line was the last. */
  takeLine(text: string): boolean {
    const mark = readLiteralMark(text)
    this.size += text.length + (mark?.size ?? 0)
    this.#parts.push({ line: mark === undefined ? text : mark.before })
    if (mark === undefined) return true
    this.literals++
    if (mark.size === 0) this.takeOctets('')
    else this.octetsDue = mark.size
    return false
  }

  takeOctets(text: string): void {
    this.octetsDue = 0
    this.#parts.push({ literal: text })
  }

  /** What was put together, as words and strings; undefined where it is malformed. */
  finish(): Token[] | undefined {
    const parts = this.#parts
    this.clear()
    return readArguments(parts)
  }

  clear(): void {
    this.octetsDue = 0
    this.size = 0
    this.literals = 0
    this.#parts = []
  }
}

/** The strings among arguments; undefined where something else is among them. */
export function readStrings(tokens: readonly Token[]): string[] | undefined {
  const strings = tokens.flatMap((token) => (token.kind === 'string' ? [token.text] : []))
  return strings.length === tokens.length ? strings : undefined
}

export interface SieveCommand {
  /** In capitals; '' where it does not begin with a word. */
  readonly name: string
  readonly args: readonly Token[]
}

export function readCommand(tokens: readonly Token[]): SieveCommand {
  const [first, ...args] = tokens
  return { name: first?.kind === 'atom' ? first.text.toUpperCase() : '', args }
}

/** What a back-end says: a line of its list of capabilities, a challenge, or how it ended. */
export type SieveResponse =
  | { readonly kind: 'strings'; readonly strings: readonly string[] }
  | {
      readonly kind: 'OK' | 'NO' | 'BYE'
      /** Name of the response code in capitals; '' where there is none. */
      readonly code: string
      /** What the code says, where that is a string. */
      readonly data: string | undefined
      readonly text: string
    }

/** Undefined where it is no response. */
export function readResponse(tokens: readonly Token[]): SieveResponse | undefined {
  const [first, ...rest] = tokens
  if (first?.kind === 'string') {
    const strings = readStrings(tokens)
    return strings === undefined ? undefined : { kind: 'strings', strings }
  }
  const kind = first?.kind === 'atom' ? first.text.toUpperCase() : ''
  if (kind !== 'OK' && kind !== 'NO' && kind !== 'BYE') return undefined
  const codeEnd = rest[0]?.kind === 'open' ? rest.findIndex((token) => token.kind === 'close') : -1
  const [text, ...more] = rest.slice(codeEnd + 1)
  if (more.length > 0 || (text !== undefined && text.kind !== 'string')) return undefined
  const code = codeEnd === -1 ? undefined : rest[1]
  return {
    kind,
    code: code?.kind === 'atom' ? code.text.toUpperCase() : '',
    data: codeEnd > 2 && rest[2]?.kind === 'string' ? rest[2].text : undefined,
    text: text?.text ?? '',
  }
}

// oxlint-disable-next-line no-control-regex -- control octets are what is looked for
const controlOctets = /[\u0000-\u001f\u007f]/

/** Whether a quoted string may hold it: text without control octets, and not too long. */
export function isQuotable(octets: string): boolean {
  return (
    octets.length <= limits.sieveQuotedBytes &&
    !controlOctets.test(octets) &&
    isUtf8(Buffer.from(octets, 'latin1'))
  )
}

/** A string as a client sends it: quoted, or where that cannot be, a literal. */
export function writeString(octets: string): string {
  return isQuotable(octets) ? writeQuoted(octets) : `{${octets.length}+}\r\n${octets}`
}

/** `octets` must be quotable. */
export function writeQuoted(octets: string): string {
  return `"${octets.replace(/["\\]/g, String.raw`\$&`)}"`
}
