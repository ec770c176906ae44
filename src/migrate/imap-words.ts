/** Arguments of IMAP commands as imapflow compiles them, and what takes its answers. */
import { encodeFolderName } from '../mail/folder-name.ts'
import { FetchAnswers, type Fetched, readFound, type Token } from './fetch-attributes.ts'
import { UidSet } from './uid-set.ts'

export interface Attribute {
  readonly type: 'ATOM' | 'STRING' | 'SEQUENCE' | 'LITERAL'
  readonly value: string | Buffer
  readonly section?: readonly Attribute[] | readonly (readonly Attribute[])[]
  readonly partial?: readonly number[]
}
/** `null` is NIL. */
export type Attributes = readonly (Attribute | Attributes | null)[]

export const atom = (value: string): Attribute => ({ type: 'ATOM', value })
export const factNames = ['UID', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE'].map(atom)
export const flagNames = ['UID', 'FLAGS'].map(atom)
export const wholeBody: Attribute = { ...atom('BODY.PEEK'), section: [] }
export const headerOnly: Attribute = { ...atom('BODY.PEEK'), section: [atom('HEADER')] }
export const messageIdOnly: Attribute = {
  ...atom('BODY.PEEK'),
  section: [atom('HEADER.FIELDS'), [atom('MESSAGE-ID')]] as never,
}

export function nameOf(folder: string): Attribute {
  return { type: 'STRING', value: encodeFolderName(folder) }
}

export function sequence(uids: UidSet | string): Attribute {
  return { type: 'SEQUENCE', value: uids.toString() }
}

interface UntaggedData {
  readonly attributes?: readonly Token[]
  /** Of SEARCH, in their stead. */
  readonly numbers?: readonly number[]
}

export type Untagged = Readonly<Record<string, (data: UntaggedData) => Promise<void>>>

/** What FETCH tells of by these names. */
const told: Readonly<Record<string, keyof Fetched>> = {
  FLAGS: 'flags',
  INTERNALDATE: 'date',
  'RFC822.SIZE': 'sizeBytes',
  'BODY.PEEK': 'body',
}

/** For the answers to a FETCH of these names. */
export function answersTo(
  names: readonly Attribute[],
  isAsked: (uid: number) => boolean,
): FetchAnswers {
  const wanted = names.flatMap(({ value }) => told[String(value)] ?? [])
  return new FetchAnswers(wanted, isAsked)
}

/** UID SEARCH for all there is, in ranges where `isExtended`: RFC 4731. */
export function uidSearch(
  isExtended: boolean,
  criteria: Attributes = [atom('ALL')],
): {
  readonly asked: Attributes
  readonly untagged: Untagged
  readonly uids: () => UidSet
} {
  const found: string[] = []
  const take: Untagged[string] = async ({ attributes = [], numbers }) =>
    void found.push(numbers?.join() ?? readFound(attributes))
  return {
    asked: isExtended ? [atom('RETURN'), [atom('ALL')], ...criteria] : criteria,
    untagged: { SEARCH: take, ESEARCH: take },
    uids: () => UidSet.parse(found.join()),
  }
}
