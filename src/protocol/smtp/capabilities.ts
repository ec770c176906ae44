/** What a back-end offers in its reply to EHLO or LHLO, and MAIL written with what it understands. */
import type { BodyType } from './grammar.ts'

/** The envelope sender as it is passed on. */
export interface Sender {
  /** Wire form; '' for the null path. */
  readonly path: string
  readonly sizeBytes: number | undefined
  readonly body: BodyType | undefined
}

export interface Capabilities {
  readonly pipelining: boolean
  readonly eightBitMime: boolean
  readonly size: boolean
  readonly startTls: boolean
}

export const noCapabilities: Capabilities = {
  pipelining: false,
  eightBitMime: false,
  size: false,
  startTls: false,
}

/** `lines` as they came; the first is the greeting. RFC 5321 4.1.1.1. */
export function parseCapabilities(lines: readonly string[]): Capabilities {
  const keywords = new Set(lines.slice(1).map((line) => line.split(/[ =]/, 1)[0]?.toUpperCase()))
  return {
    pipelining: keywords.has('PIPELINING'),
    eightBitMime: keywords.has('8BITMIME'),
    size: keywords.has('SIZE'),
    startTls: keywords.has('STARTTLS'),
  }
}

export function formatMail({ path, sizeBytes, body }: Sender, offered: Capabilities): string {
  const size = offered.size && sizeBytes !== undefined ? ` SIZE=${sizeBytes}` : ''
  const type = offered.eightBitMime && body !== undefined ? ` BODY=${body}` : ''
  return `MAIL FROM:<${path}>${size}${type}\r\n`
}
