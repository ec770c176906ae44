/** What is said until a client is logged in, by each of the protocols. */
import { sieveCapabilities } from './login-backend.ts'

export const loginServices = ['imap', 'pop3', 'sieve', 'submission'] as const

const sieveGreeting = /^(?:".*\r\n)+OK .*\r\n/

export const loginWords = {
  imap: {
    greeting: /^\* OK .*\r\n/,
    startTls: 'a STARTTLS\r\n',
    go: /^a OK .*\r\n/,
    afterTls: /^/,
    logIn: (login: string, password: string) => `b LOGIN ${login} ${password}\r\n`,
    accepted: /^b OK .*\r\n/,
    refused: /^b NO \[AUTHENTICATIONFAILED\] .*\r\n/,
    unavailable: /^b NO \[UNAVAILABLE\] .*\r\n/,
    injected: /^\* BYE .*\r\n/,
    slow: /^\* BYE .*\r\n/,
    backendGreeting: '* OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN] fritz ready\r\n',
    partOfAnswer: '1 O',
  },
  pop3: {
    greeting: /^\+OK .*\r\n/,
    startTls: 'STLS\r\n',
    go: /^\+OK.*\r\n/,
    afterTls: /^/,
    logIn: (login: string, password: string) => `USER ${login}\r\nPASS ${password}\r\n`,
    accepted: /^\+OK.*\r\n\+OK.*\r\n/,
    refused: /^\+OK.*\r\n-ERR \[AUTH\] .*\r\n/,
    unavailable: /^\+OK.*\r\n-ERR \[SYS\/TEMP\] .*\r\n/,
    injected: /^-ERR .*\r\n/,
    slow: /^-ERR .*\r\n/,
    backendGreeting: '+OK fritz ready\r\n',
    partOfAnswer: '+O',
  },
  sieve: {
    greeting: sieveGreeting,
    startTls: 'STARTTLS\r\n',
    go: /^OK .*\r\n/,
    afterTls: sieveGreeting,
    logIn: (login: string, password: string) => {
      const message = Buffer.from(`\0${login}\0${password}`).toString('base64')
      return `AUTHENTICATE "PLAIN" {${message.length}+}\r\n${message}\r\n`
    },
    accepted: /^OK .*\r\n/,
    refused: /^NO ".*"\r\n/,
    unavailable: /^NO \(TRYLATER\) ".*"\r\n/,
    injected: /^BYE .*\r\n/,
    slow: /^BYE .*\r\n/,
    backendGreeting: sieveCapabilities,
    partOfAnswer: 'O',
  },
  submission: {
    greeting: /^220 .*\r\n/,
    startTls: 'STARTTLS\r\n',
    go: /^220 .*\r\n/,
    afterTls: /^/,
    logIn: (login: string, password: string) => {
      const message = Buffer.from(`\0${login}\0${password}`).toString('base64')
      return `EHLO mail.example.net\r\nAUTH PLAIN ${message}\r\n`
    },
    accepted: /^250-.*\r\n250 .*\r\n235 .*\r\n/,
    refused: /^250-.*\r\n250 .*\r\n535 5\.7\.8 .*\r\n/,
    unavailable: /^250-.*\r\n250 .*\r\n454 4\.7\.0 .*\r\n/,
    injected: /^554 .*\r\n/,
    slow: /^421 .*\r\n/,
    backendGreeting: '220 fritz ready\r\n',
    partOfAnswer: '25',
  },
} as const
