/** What a simulated IMAP server tells of one message. RFC 9051 section 7.5.2. */
import { listOf, stringOf, type Word } from './simulated-imap-input.ts'
import type { Message } from './simulated-mailbox.ts'

interface FetchedHow {
  /** As if it had no octets, as Dovecot 2.3 has it of one that is gone. */
  readonly isEmpty: boolean
  readonly isModseqTold: boolean
}

const bodyForm = /^BODY(?:\.PEEK)?(\[.*\])(?:<(\d+)\.(\d+)>)?$/

/** Items and their values, between blanks. */
export function fetched(
  message: Message,
  names: readonly string[],
  { isEmpty, isModseqTold }: FetchedHow,
): (string | Buffer)[] {
  const parts: (string | Buffer)[] = []
  const { uid, flags, body, modseq } = message
  const say = (text: string): void => void parts.push(parts.length === 0 ? text : ` ${text}`)
  say(`UID ${uid}`)
  for (const name of names) {
    const [, section = '', from, most] = bodyForm.exec(name) ?? []
    if (name === 'FLAGS') say(`FLAGS (${[...flags].join(' ')})`)
    else if (name === 'INTERNALDATE') say(`INTERNALDATE "${body.date}"`)
    else if (name === 'RFC822.SIZE') say(`RFC822.SIZE ${body.octets.length}`)
    else if (section !== '') {
      const whole = isEmpty ? Buffer.alloc(0) : partOf(body.octets, section)
      const start = Number(from ?? 0)
      const octets = from === undefined ? whole : whole.subarray(start, start + Number(most))
      const mark = from === undefined ? '' : `<${from}>`
      say(`BODY${section}${mark} {${octets.length}}\r\n`)
      parts.push(octets)
    }
  }
  if (isModseqTold) say(`MODSEQ (${modseq})`)
  return parts
}

function partOf(octets: Buffer, section: string): Buffer {
  if (section === '[]') return octets
  const end = octets.indexOf('\r\n\r\n')
  const header = end === -1 ? octets : octets.subarray(0, end + 4)
  if (section === '[HEADER]') return header
  const id = /^message-id:.*\r\n/im.exec(header.toString('latin1'))?.[0] ?? ''
  return Buffer.from(`${id}\r\n`, 'latin1')
}

/** The number behind CHANGEDSINCE. RFC 7162 section 3.1.4. */
export function isMarkedSince(options: Word | undefined): number | undefined {
  const [name, number] = listOf(options).map(stringOf)
  return name?.toUpperCase() === 'CHANGEDSINCE' ? Number(number) : undefined
}
