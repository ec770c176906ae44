/** What a client hears that finds no room, in the words of its protocol. */
import type { Service } from '../config/config.ts'

const answers: Readonly<Record<Service, (hostname: string) => string>> = {
  smtp: (hostname) => `421 4.3.2 ${hostname} too many sessions, try again later\r\n`,
  lmtp: (hostname) => `421 4.3.2 ${hostname} too many sessions, try again later\r\n`,
  imap: () => '* BYE [UNAVAILABLE] too many sessions, try again later\r\n',
  pop3: () => '-ERR [SYS/TEMP] too many sessions, try again later\r\n',
}

export function busyAnswer(service: Service, hostname: string): string {
  return answers[service](hostname)
}
