/**
 * The part of IMAP's grammar that is spoken before login: tags, words, strings and literals.
 * RFC 9051 section 9, RFC 7888. Octets are latin1 strings.
 */

import type { IdPair } from '../smtp/client-attributes.ts'

/** A literal announced at the end of a line. */
export interface LiteralMark {
  /** Octets; Infinity for a number that no machine should count to. */
  readonly size: number
  /** LITERAL-: the octets follow without being asked for. */
  readonly nonSync: boolean
  /** The line before the mark. */
  readonly before: string
}

const tagForm = /^[!#$&',\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]{1,64}$/
const literalForm = /(?:^|[ (])\{(\d+)(\+?)\}$/
const wordForm = /^[A-Za-z]+$/

/** A command line is `tag SP name [SP arguments]`. */
export interface CommandLine {
  readonly tag: string
  /** In capitals; '' where there is none. */
  readonly name: string
  readonly rest: string
}

/** Undefined where not even the tag can be read. */
export function readCommand(line: string): CommandLine | undefined {
  const tagEnd = line.indexOf(' ')
  const tag = tagEnd === -1 ? line : line.slice(0, tagEnd)
  if (!tagForm.test(tag)) return undefined
  if (tagEnd === -1) return { tag, name: '', rest: '' }
  const nameEnd = line.indexOf(' ', tagEnd + 1)
  const name = nameEnd === -1 ? line.slice(tagEnd + 1) : line.slice(tagEnd + 1, nameEnd)
  const rest = nameEnd === -1 ? '' : line.slice(nameEnd + 1)
  return { tag, name: wordForm.test(name) ? name.toUpperCase() : '', rest }
}

/** The mark of a literal at the end of a line, if there is one. */
export function readLiteralMark(line: string): LiteralMark | undefined {
  if (!line.endsWith('}')) return undefined
  const match = literalForm.exec(line)
  if (match === null) return undefined
  const [, digits = '', plus] = match
  // Longer than any 32-bit number: whatever it says, it is too much.
  const size = digits.length > 10 ? Number.POSITIVE_INFINITY : Number(digits)
  return { size, nonSync: plus === '+', before: line.slice(0, line.lastIndexOf('{')) }
}

/** What an argument is: text between quotes, an atom, a literal, or the mark of a list. */
export type Token =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'atom'; readonly text: string }
  | { readonly kind: 'open' | 'close' }

// Wider than the RFC's atom: mail programs send `%`, `*` and 8-bit octets in passwords.
// oxlint-disable-next-line no-control-regex -- control octets end an atom
const atomForm = /[^\u0000-\u0020(){"\u007f]+/y
// oxlint-disable-next-line no-control-regex -- a quoted string holds no NUL
const quotedForm = /"((?:[^"\\\r\n\u0000]|\\["\\])*)"/y

/** Arguments of one line (without literals); undefined where they are malformed. */
export function readTokens(text: string): Token[] | undefined {
  const tokens: Token[] = []
  for (let at = 0; at < text.length; ) {
    const character = text[at]
    if (character === '(' || character === ')') {
      tokens.push({ kind: character === '(' ? 'open' : 'close' })
      at++
    } else {
      const form = character === '"' ? quotedForm : atomForm
      form.lastIndex = at
      const match = form.exec(text)
      if (match === null) return undefined
      tokens.push(
        character === '"'
          ? { kind: 'string', text: (match[1] ?? '').replace(/\\(["\\])/g, '$1') }
          : { kind: 'atom', text: match[0] },
      )
      at = form.lastIndex
    }
    if (at < text.length && text[at] === ' ') at++
    else if (at < text.length && text[at] !== ')' && tokens.at(-1)?.kind !== 'open')
      return undefined
  }
  return tokens
}

/** A piece of a command: text of a line, or the literal that followed it. */
export type Part = { readonly line: string } | { readonly literal: string }

/** Arguments from the pieces of a command; lists are one level deep at most. */
export function readArguments(parts: readonly Part[]): Token[] | undefined {
  const tokens: Token[] = []
  for (const [index, part] of parts.entries()) {
    if ('literal' in part) tokens.push({ kind: 'string', text: part.literal })
    else {
      // What follows a literal stands apart from it.
      const isEnd = part.line === '' && index === parts.length - 1
      if (index > 0 && !isEnd && !/^[ )]/.test(part.line)) return undefined
      const read = readTokens(index > 0 ? part.line.replace(/^ /, '') : part.line)
      if (read === undefined) return undefined
      tokens.push(...read)
    }
  }
  let depth = 0
  for (const { kind } of tokens) {
    if (kind === 'open') depth++
    else if (kind === 'close') depth--
    if (depth < 0 || depth > 1) return undefined
  }
  return depth === 0 ? tokens : undefined
}

function isNil(token: Token | undefined): boolean {
  return token?.kind === 'atom' && /^nil$/i.test(token.text)
}

/**
 * The parameters of ID, none where the client says NIL; undefined where they are not NIL, or pairs
 * within the limits of RFC 2971 section 3.3.
 */
export function readIdParameters(args: readonly Token[]): IdPair[] | undefined {
  const [first, ...rest] = args
  if (isNil(first)) return rest.length === 0 ? [] : undefined
  const fields = rest.slice(0, -1)
  if (first?.kind !== 'open' || rest.at(-1)?.kind !== 'close') return undefined
  if (fields.length % 2 !== 0 || fields.length > 2 * 30) return undefined
  const pairs: IdPair[] = []
  for (let index = 0; index < fields.length; index += 2) {
    const [name, value] = [fields[index], fields[index + 1]]
    if (name === undefined || value === undefined) return undefined
    if (!('text' in name && 'text' in value)) return undefined
    if (name.text.length > 30 || value.text.length > 1024) return undefined
    pairs.push([name.text, isNil(value) ? undefined : value.text])
  }
  return pairs
}

/** A string as a quoted string; undefined where only a literal can carry it. */
export function writeQuoted(octets: string): string | undefined {
  if (!/^[\u0020-\u007e]*$/.test(octets)) return undefined
  return /["\\]/.test(octets) ? `"${octets.replace(/["\\]/g, String.raw`\$&`)}"` : `"${octets}"`
}

export interface StatusLine {
  readonly status: 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH'
  /** Name of the response code in capitals; '' where there is none. */
  readonly code: string
  /** What follows the name inside the brackets. */
  readonly codeText: string
  readonly text: string
}

const statusForm = /^(OK|NO|BAD|BYE|PREAUTH)(?: (?:\[([A-Za-z0-9-]+)(?: ([^\]]*))?\] ?)?(.*))?$/i

/** The part of a response after its tag: status, response code, text. RFC 9051 section 7.1. */
export function readStatus(rest: string): StatusLine | undefined {
  const match = statusForm.exec(rest)
  if (match === null) return undefined
  const [, status = '', code = '', codeText = '', text = ''] = match
  return {
    status: status.toUpperCase() as StatusLine['status'],
    code: code.toUpperCase(),
    codeText,
    text,
  }
}

/** As nearly all back-ends write it. */
const cleanList = /^[\u0021-\u005c\u005e-\u007e]+(?: [\u0021-\u005c\u005e-\u007e]+)*$/
const printableText = /^[\u0020-\u007e]{0,400}$/

/** A list of capabilities as it may be sent on in a response code: atoms between single spaces. */
export function cleanCapabilities(text: string): string {
  if (cleanList.test(text)) return text
  return text.replace(/[^\u0021-\u005c\u005e-\u007e]+/g, ' ').trim()
}

/** Text of a back-end as it may be sent on: printable ASCII, bounded. */
export function cleanText(text: string): string {
  if (printableText.test(text)) return text.trim()
  return text
    .replace(/[^\u0020-\u007e]/g, '')
    .slice(0, 400)
    .trim()
}
