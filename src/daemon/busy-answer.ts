/** What a client hears that finds no room, in the words of its protocol. */
import type { RefusalReason } from '../base/log.ts'
import type { Service } from '../config/config.ts'

export type NoRoom = Extract<RefusalReason, 'conn_limit' | 'ip_limit' | 'conn_rate'>

const words: Readonly<Record<NoRoom, string>> = {
  conn_limit: 'too many sessions, try again later',
  ip_limit: 'too many sessions from your address, end some of them',
  conn_rate: 'too many connections from your address, slow down',
}

const statuses: Readonly<Record<NoRoom, string>> = {
  conn_limit: '4.3.2',
  ip_limit: '4.7.0',
  conn_rate: '4.7.0',
}

type Answer = (hostname: string, reason: NoRoom) => string

const smtpAnswer: Answer = (hostname, reason) =>
  `421 ${statuses[reason]} ${hostname} ${words[reason]}\r\n`

const answers: Readonly<Record<Service, Answer>> = {
  smtp: smtpAnswer,
  lmtp: smtpAnswer,
  imap: (_hostname, reason) => `* BYE [UNAVAILABLE] ${words[reason]}\r\n`,
  pop3: (_hostname, reason) => `-ERR [SYS/TEMP] ${words[reason]}\r\n`,
  sieve: (_hostname, reason) => `BYE (TRYLATER) "${words[reason]}"\r\n`,
  submission: smtpAnswer,
}

export function busyAnswer(service: Service, hostname: string, reason: NoRoom): string {
  return answers[service](hostname, reason)
}
