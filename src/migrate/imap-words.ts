/** Arguments of IMAP commands as imapflow compiles them, and what takes its answers. */
import { encodeFolderName } from '../mail/folder-name.ts'
import { type Fetched, readFetched, type Token } from './fetch-attributes.ts'
import type { UidSet } from './uid-set.ts'

export interface Attribute {
  readonly type: 'ATOM' | 'STRING' | 'SEQUENCE'
  readonly value: string
  readonly section?: readonly Attribute[] | readonly (readonly Attribute[])[]
  readonly partial?: readonly number[]
}
export type Attributes = readonly (Attribute | Attributes)[]

export const atom = (value: string): Attribute => ({ type: 'ATOM', value })
export const factNames = ['UID', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE'].map(atom)
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

/** What imapflow has and its types keep to itself. */
export interface Executing {
  exec(
    command: string,
    attributes: Attributes,
    options: { readonly untagged: Untagged },
  ): Promise<{ next(): void }>
}

/** Gathers what FETCH answers. */
export function collectInto(found: Fetched[]): Untagged[string] {
  return async ({ attributes = [] }) => {
    const fetched = readFetched(attributes)
    if (fetched !== undefined) found.push(fetched)
  }
}
