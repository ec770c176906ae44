/** What can be served, in the order in which people are told; back-ends speak each of them. */
import type { Service } from './config.ts'

export const services = [
  'smtp',
  'lmtp',
  'imap',
  'pop3',
  'sieve',
  'submission',
] as const satisfies readonly Service[]
