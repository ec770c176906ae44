/**
 * How a line of a source divides: what the reader of a build and the editor of a source share.
 * Columns count characters from 1.
 */
export interface KeyedLine {
  readonly key: string
  readonly value: string
  readonly valueColumn: number
}

export type Separator = 'blank' | 'colon'

/** A comment, or nothing. */
export function isIgnored(text: string): boolean {
  return /^\s*(?:#|$)/.test(text)
}

/** Takes the quotes off `"ann b"@example.com` and `"|program"`. */
export function unquote(text: string): string {
  return text.replace(/^"((?:[^"\\]|\\.)*)"/su, (_, inner: string) =>
    inner.replace(/\\(.)/gsu, '$1'),
  )
}

/** A key as it is written at the beginning of a line: in quotes where it would not be one word. */
export function writeKey(name: string): string {
  if (/^[^\s"#\\:,]+$/u.test(name)) return name
  const at = name.lastIndexOf('@')
  const local = at === -1 ? name : name.slice(0, at)
  return `"${local.replace(/["\\]/g, String.raw`\$&`)}"${at === -1 ? '' : name.slice(at)}`
}

/** A line of user_map (blank) or popmap (colon); undefined where it has no key or no value. */
export function divideKeyedLine(text: string, separator: Separator): KeyedLine | undefined {
  const pattern =
    separator === 'colon'
      ? /^("(?:[^"\\]|\\.)*"[^:]*|[^:]*?)\s*:\s*(.*?)\s*$/su
      : /^("(?:[^"\\]|\\.)*"\S*|\S+)\s+(.*?)\s*$/su
  const [, key, value] = pattern.exec(text) ?? []
  if (key === undefined || value === undefined || value === '') return undefined
  return { key: unquote(key), value, valueColumn: text.trimEnd().length - value.length + 1 }
}

/** The first line of an alias: its name, and the column after the colon. */
export function divideAliasLine(text: string): { name: string; column: number } | undefined {
  const [whole = '', name] = /^("(?:[^"\\]|\\.)*"[^:]*|[^":]+?)\s*:/su.exec(text) ?? []
  return name === undefined ? undefined : { name: unquote(name), column: whole.length + 1 }
}

export interface Token {
  readonly text: string
  /** Of its first character. */
  readonly column: number
}

/** Divides a line at commas outside quotes; empty parts are left out. */
export function divideTargets(text: string, firstColumn: number): Token[] {
  const parts = text.matchAll(/((?:"(?:[^"\\]|\\.)*"?|[^",])+)/gsu)
  return [...parts].flatMap((part) => {
    const [whole] = part
    const trimmed = whole.trim()
    const blanks = whole.length - whole.trimStart().length
    return trimmed === '' ? [] : [{ text: trimmed, column: firstColumn + part.index + blanks }]
  })
}
