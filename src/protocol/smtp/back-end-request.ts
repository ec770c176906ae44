/** What is asked of a back-end within a transaction, and what is answered without asking it. */
import type { Sender } from './capabilities.ts'
import type { RawReply } from './reply-reader.ts'

export type Request =
  | { readonly kind: 'reset' }
  | { readonly kind: 'mail'; readonly sender: Sender }
  | { readonly kind: 'recipient'; readonly address: string }
  | { readonly kind: 'data' }

export const noEightBit: RawReply = {
  code: 554,
  lines: ['5.6.3 the back-end of this recipient does not take 8-bit messages'],
}
export const noTransaction: RawReply = { code: 554, lines: ['5.5.1 no valid recipients'] }
