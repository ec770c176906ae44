/** What FETCH answers, out of the tokens that imapflow's parser makes of it. RFC 9051 section 7.5.2. */
import type { FetchedItems } from './fetch-filter.ts'
import { flagText } from './plan-messages.ts'

/** As imapflow's parser makes them: a list, or one with a value. */
export type Token = { readonly type: string; readonly value: unknown } | null | readonly Token[]

/** What was asked for is there; what was not is as empty as it can be. */
export interface Fetched {
  readonly uid: number
  readonly flags: string
  /** As IMAP writes it; '' where it was not asked for. */
  readonly date: string
  readonly sizeBytes: number
  /** Of the message, of a part of its octets, or of its header; undefined where there is none. */
  readonly body: Buffer | undefined
}

/** What one response tells of a message. */
export type FetchedPart = Pick<Fetched, 'uid'> & { -readonly [Key in keyof Fetched]?: Fetched[Key] }

/** Lists of flags that are known again: characters of one, and how many. */
const [longestKept, mostKept] = [100, 100]

/**
 * What was asked for, of those that were asked for, out of all that is said meanwhile: servers tell of
 * flags that others change with the UID, too (Cyrus; RFC 9051 section 7.5.2), and may answer for one
 * message in pieces. A message of which something is missing is gone.
 */
export class FetchAnswers {
  readonly #wanted: readonly (keyof Fetched)[]
  readonly #isAsked: (uid: number) => boolean
  readonly #parts = new Map<number, FetchedPart>()
  /** Some, by what a server wrote: most messages have one of few. */
  readonly #flagTexts = new Map<string, string>()

  constructor(wanted: readonly (keyof Fetched)[], isAsked: (uid: number) => boolean) {
    this.#wanted = wanted
    this.#isAsked = isAsked
  }

  take(attributes: readonly Token[]): void {
    const part = readFetched(attributes)
    if (part !== undefined && this.#isAsked(part.uid)) this.#add(part)
  }

  /** The same of a response that is read already. */
  takeItems({ flags, ...items }: FetchedItems): void {
    if (!this.#isAsked(items.uid)) return
    this.#add(flags === undefined ? items : { ...items, flags: this.#flagTextOf(flags) })
  }

  /** By rising UID: what others change may be told of first. */
  get whole(): Fetched[] {
    return [...this.#parts.values()]
      .filter((part) => this.#wanted.every((name) => part[name] !== undefined))
      .map(({ uid, flags = '', date = '', sizeBytes = 0, body }) => {
        return { uid, flags, date, sizeBytes, body }
      })
      .sort((one, other) => one.uid - other.uid)
  }

  #flagTextOf(written: string): string {
    const known = this.#flagTexts.get(written)
    if (known !== undefined) return known
    const text = flagText(written.split(' ').filter((flag) => flag !== ''))
    if (written.length <= longestKept && this.#flagTexts.size < mostKept) {
      this.#flagTexts.set(written, text)
    }
    return text
  }

  #add(part: FetchedPart): void {
    const { uid } = part
    const before = this.#parts.get(uid)
    this.#parts.set(uid, before === undefined ? part : { ...before, ...part })
  }
}

/** Undefined where it is of no message that has a UID: an update that nobody asked for. */
export function readFetched(attributes: readonly Token[]): FetchedPart | undefined {
  const list = attributes[1]
  if (!Array.isArray(list)) return undefined
  const found: FetchedPart = { uid: 0 }
  for (let index = 0; index + 1 < list.length; index += 2) {
    const value = list[index + 1] as Token
    switch (textOf(list[index] as Token).toUpperCase()) {
      case 'UID':
        found.uid = Number(textOf(value))
        break
      case 'FLAGS':
        found.flags = flagText((Array.isArray(value) ? value : []).map(textOf))
        break
      case 'INTERNALDATE':
        // A day of one figure may come with a blank before it, or a nought.
        found.date = textOf(value)
        break
      case 'RFC822.SIZE':
        found.sizeBytes = Number(textOf(value))
        break
      case 'BODY':
        found.body = bytesOf(value)
        break
    }
  }
  return found.uid > 0 ? found : undefined
}

/** UIDs in an answer to SEARCH: `SEARCH 1 2 3`, or with ESEARCH `ESEARCH (TAG "A1") UID ALL 1:3`. */
export function readFound(attributes: readonly Token[]): string {
  const words = attributes.filter((token) => !Array.isArray(token)).map(textOf)
  const all = words.findIndex((word) => word.toUpperCase() === 'ALL')
  if (all !== -1) return words[all + 1] ?? ''
  return words.filter((word) => /^\d+$/.test(word)).join()
}

/** '' for NIL, a list, and what is no text. */
export function textOf(token: Token | undefined): string {
  if (token === null || token === undefined || Array.isArray(token)) return ''
  const { value } = token as { readonly value: unknown }
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/** NIL is a message without octets, as an empty string is. */
export function bytesOf(token: Token): Buffer {
  if (token === null || Array.isArray(token)) return Buffer.alloc(0)
  const { value } = token as { readonly value: unknown }
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length)
  return typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.alloc(0)
}

const dateForm = /^ ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2})$/

/** Seconds since 1970; undefined where it is no date. */
export function secondsOf(date: string): number | undefined {
  const [, day, month, year, time, hours, minutes] = dateForm.exec(date) ?? []
  if (day === undefined) return undefined
  const at = Date.parse(`${day} ${month} ${year} ${time} ${hours}${minutes}`)
  return Number.isNaN(at) ? undefined : at / 1000
}

/** As APPEND takes it: the day has two places. RFC 9051 section 9, `date-day-fixed`. */
export function appendDate(date: string): string {
  return secondsOf(date) === undefined ? '' : date.trimStart().replace(/^0?(\d)-/, ' $1-')
}
