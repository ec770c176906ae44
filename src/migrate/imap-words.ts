/** Arguments of IMAP commands as imapflow compiles them. */
import { encodeFolderName } from '../mail/folder-name.ts'
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
