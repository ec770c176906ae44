/** What is asked of a back-end within a transaction, and what is answered without asking it. */
import type { Capabilities, Sender } from './capabilities.ts'
import type { ClientAttributes } from './client-attributes.ts'
import type { RcptParameters } from './parameters.ts'
import type { RawReply } from './reply-reader.ts'

export type Request =
  | { readonly kind: 'reset' }
  /** Whose message it is, in as many lines as it takes; nothing hangs on the answers. */
  | { readonly kind: 'client'; readonly client: ClientAttributes }
  | { readonly kind: 'forward'; readonly line: string }
  | { readonly kind: 'mail'; readonly sender: Sender }
  | { readonly kind: 'recipient'; readonly address: string; readonly parameters: RcptParameters }
  | { readonly kind: 'data' }

const noEightBit: RawReply = {
  code: 554,
  lines: ['5.6.3 the back-end of this recipient does not take 8-bit messages'],
}
const noSmtpUtf8: RawReply = {
  code: 550,
  lines: ['5.6.7 the back-end of this recipient does not take SMTPUTF8'],
}
export const noTransaction: RawReply = { code: 554, lines: ['5.5.1 no valid recipients'] }

/** Why a message of this sender cannot be sent there at all; RFC 6152 section 3, RFC 6531 3.5. */
export function refusalOf(sender: Sender, offered: Capabilities): RawReply | undefined {
  if (sender.smtpUtf8 && !offered.smtpUtf8) return noSmtpUtf8
  return sender.body === '8BITMIME' && !offered.eightBitMime ? noEightBit : undefined
}
