/**
 * APPEND as it is written and answered: one message, or several in one command that are all stored
 * or none. RFC 9051 section 6.3.12; MULTIAPPEND: RFC 3502; APPENDUID: RFC 4315 section 3; literals
 * that are not asked for: RFC 7888; with NUL in them: RFC 3516. Octets are latin1 strings.
 */
import { limits } from '../../base/limit.ts'
import { encodeFolderName } from '../../mail/folder-name.ts'
import { writeQuoted } from './grammar.ts'

/** What a back-end offers that matters here. */
export interface AppendOffers {
  readonly multiple: boolean
  /** It tells which numbers it gave. */
  readonly uids: boolean
  readonly literals: 'plus' | 'minus' | 'asked'
  readonly binary: boolean
}

export interface MessageHead {
  readonly flags: readonly string[]
  /** As IMAP writes it: `17-Jul-1996 02:44:25 -0700`; '' for now. */
  readonly date: string
  readonly sizeBytes: number
  readonly hasNul: boolean
  /** What does not fit should be refused before it is sent. */
  readonly isAsked: boolean
}

/** `capabilities`: between single spaces. */
export function appendOffers(capabilities: string): AppendOffers {
  const offered = new Set(capabilities.toUpperCase().split(' '))
  const minus = offered.has('LITERAL-') || offered.has('IMAP4REV2')
  return {
    multiple: offered.has('MULTIAPPEND'),
    uids: offered.has('UIDPLUS') || offered.has('IMAP4REV2'),
    literals: offered.has('LITERAL+') ? 'plus' : minus ? 'minus' : 'asked',
    binary: offered.has('BINARY'),
  }
}

/** The beginning of the command, up to the first message. Undefined where a name cannot be written. */
export function appendCommand(tag: string, folder: string): string | undefined {
  const name = writeQuoted(encodeFolderName(folder))
  return name === undefined ? undefined : `${tag} APPEND ${name}`
}

/** What goes before the octets of a message; `isAsked`: they wait for the back-end's `+`. */
export function messageHead(
  head: MessageHead,
  offers: AppendOffers,
): { readonly text: string; readonly isAsked: boolean } {
  const { flags, date, sizeBytes, hasNul } = head
  const flagged = flags.length === 0 && date === '' ? '' : ` (${flags.join(' ')})`
  const dated = date === '' ? '' : ` "${date}"`
  const isUnasked =
    offers.literals === 'plus' ||
    (offers.literals === 'minus' && sizeBytes <= limits.imapNonSyncLiteralBytes)
  const isAsked = head.isAsked || !isUnasked
  const mark = `${hasNul && offers.binary ? '~' : ''}{${sizeBytes}${isAsked ? '' : '+'}}`
  return { text: `${flagged}${dated} ${mark}\r\n`, isAsked }
}

export interface AppendUid {
  readonly uidValidity: number
  /** In the order of the messages. */
  readonly uids: readonly number[]
}

/** What follows the name of the response code. Undefined where it is not of so many messages. */
export function readAppendUid(codeText: string, messages: number): AppendUid | undefined {
  const [, validity = '', set = ''] = /^(\d{1,10}) ([\d:,]+)$/.exec(codeText) ?? []
  if (set === '') return undefined
  const uids: number[] = []
  for (const part of set.split(',')) {
    const [first = Number.NaN, last = first] = part.split(':').map(Number)
    if (!(first > 0 && last >= first && last - first < messages)) return undefined
    for (let uid = first; uid <= last; uid++) uids.push(uid)
  }
  return uids.length === messages ? { uidValidity: Number(validity), uids } : undefined
}
