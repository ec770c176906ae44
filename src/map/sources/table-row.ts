/** Rows of a database as lines of text, so that they are read as every other line is. */
import type { Position } from '../../base/position.ts'
import { Problems } from '../problems.ts'
import { type Separator, writeKey } from './line-grammar.ts'
import { quote } from './source-context.ts'

export type TableRow =
  /** Null where the database has NULL; U+FFFD where its bytes are no UTF-8. */
  | { readonly key: string | null; readonly value: string | null; readonly entry?: string }
  /** Nothing can be made of what was read. */
  | { readonly refused: string; readonly hint: string | undefined; readonly entry?: string }

export type GoodRow = { readonly key: string; readonly value: string }

export type CheckedRow =
  | { readonly row: GoodRow }
  | { readonly refused: string; readonly hint: string | undefined }

/** Trims a row, or says what is wrong with it. */
export function checkRow(row: TableRow): CheckedRow {
  const prefix = row.entry === undefined ? '' : `${quote(row.entry)}: `
  if ('refused' in row) return { refused: prefix + row.refused, hint: row.hint }
  const faults = [faultOf('key', row.key), faultOf('value', row.value)].filter(
    (fault) => fault !== undefined,
  )
  const [fault] = faults
  if (fault !== undefined) {
    const of = row.key === null || row.entry !== undefined ? '' : ` of ${quote(row.key)}`
    const what = fault.what === 'value' ? `the value${of}` : `the key${of}`
    return { refused: `${prefix}${what} ${fault.is}`, hint: fault.hint }
  }
  const { key, value } = row
  return { row: { key: (key ?? '').trim(), value: (value ?? '').trim() } }
}

function faultOf(what: 'key' | 'value', text: string | null) {
  if (text === null) return { what, is: 'is NULL', hint: 'leave such rows out of the query' }
  if (text.trim() === '') return { what, is: 'is empty', hint: 'leave such rows out of the query' }
  if (text.includes('\ufffd')) return { what, is: 'is not UTF-8', hint: undefined }
  // oxlint-disable-next-line no-control-regex -- a line end would begin another line
  if (/[\u0000-\u001f\u007f\u2028\u2029]/.test(text)) {
    return { what, is: 'has a control character', hint: undefined }
  }
  return undefined
}

/** A key as text would have it: what is quoted already stays so. */
export function writtenKey(key: string): string {
  return /^"(?:[^"\\]|\\.)*"(?:@\S+)?$/su.test(key) ? key : writeKey(key)
}

export function lineOf({ key, value }: GoodRow, separator: Separator): string {
  return `${writtenKey(key)}${separator === 'colon' ? ': ' : ' '}${value}\n`
}

/** Findings about rows: the number of a row tells a person little, so its name goes with them. */
export class RowProblems extends Problems {
  readonly #problems: Problems
  readonly #nameOf: (row: number) => string | undefined

  constructor(problems: Problems, nameOf: (row: number) => string | undefined) {
    super()
    this.#problems = problems
    this.#nameOf = nameOf
  }

  override error(code: string, at: Position, message: string, hint?: string): void {
    this.#problems.error(code, at, this.#named(at, message), hint)
  }

  override warn(code: string, at: Position, message: string, hint?: string): void {
    this.#problems.warn(code, at, this.#named(at, message), hint)
  }

  #named({ line }: Position, message: string): string {
    const name = this.#nameOf(line)
    return name === undefined || message.includes(name) ? message : `${name}: ${message}`
  }
}
