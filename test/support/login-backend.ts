/** The part of a back-end in a login by any of the protocols: takes any password but `wrong`. */
import type { LoginService } from '../../src/config/config.ts'
import type { IssuedCertificate } from './certificates.ts'
import type { Peer } from './peer.ts'

export interface LoginScript {
  readonly service: LoginService
  /** For STARTTLS. */
  readonly certificate: IssuedCertificate
  /** Sent in one segment with the answer to an accepted login. */
  readonly surplus?: string
}

/** Answers commands until a login is answered; true where it was accepted. */
export async function serveLogin(peer: Peer, script: LoginScript): Promise<boolean> {
  for (;;) {
    const line = await peer.line()
    const answered = await serve[script.service](peer, line, script)
    if (answered !== undefined) return answered
  }
}

type Serve = (peer: Peer, line: string, script: LoginScript) => Promise<boolean | undefined>

const imap: Serve = async (peer, line, { certificate, surplus = '' }) => {
  const [tag = '', command = ''] = line.split(' ')
  switch (command.toUpperCase()) {
    case 'STARTTLS':
      peer.send(`${tag} OK go\r\n`)
      await peer.acceptTls(certificate)
      return undefined
    case 'CAPABILITY':
      peer.send(`* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n${tag} OK done\r\n`)
      return undefined
    case 'LOGIN':
    case 'AUTHENTICATE': {
      const isRight = !isWrong(line + (await literals(peer, line)))
      if (isRight) peer.send(`${tag} OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n${surplus}`)
      else peer.send(`${tag} NO [AUTHENTICATIONFAILED] no\r\n`)
      return isRight
    }
    default:
      peer.send(`${tag} BAD what\r\n`)
      return undefined
  }
}

async function literals(peer: Peer, line: string): Promise<string> {
  const [, size, plus] = /\{(\d+)(\+?)\}$/.exec(line) ?? []
  if (size === undefined) return ''
  if (plus === '') peer.send('+ go\r\n')
  const [literal] = await peer.expect(new RegExp(`^[^]{${size}}`))
  const next = await peer.line()
  return literal + next + (await literals(peer, next))
}

const pop3: Serve = async (peer, line, { certificate, surplus = '' }) => {
  switch (line.split(' ')[0]?.toUpperCase()) {
    case 'STLS':
      peer.send('+OK go\r\n')
      await peer.acceptTls(certificate)
      return undefined
    case 'CAPA':
      peer.send('+OK\r\nUSER\r\nSTLS\r\nSASL PLAIN\r\n.\r\n')
      return undefined
    case 'USER':
      peer.send('+OK\r\n')
      return undefined
    case 'PASS':
    case 'AUTH': {
      const isRight = !isWrong(line)
      peer.send(isRight ? `+OK Logged in\r\n${surplus}` : '-ERR [AUTH] no\r\n')
      return isRight
    }
    default:
      peer.send('-ERR what\r\n')
      return undefined
  }
}

/** As a greeting, too. */
export const sieveCapabilities = '"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\n"STARTTLS"\r\nOK\r\n'

const sieve: Serve = async (peer, line, { certificate, surplus = '' }) => {
  switch (line.split(' ')[0]?.toUpperCase()) {
    case 'STARTTLS':
      peer.send('OK\r\n')
      await peer.acceptTls(certificate)
      peer.send(sieveCapabilities)
      return undefined
    case 'AUTHENTICATE': {
      const isRight = !isWrong(line.replace(/"/g, ''))
      peer.send(isRight ? `OK "Logged in"\r\n${surplus}` : 'NO "no"\r\n')
      return isRight
    }
    default:
      peer.send('NO "what"\r\n')
      return undefined
  }
}

const submission: Serve = async (peer, line, { certificate, surplus = '' }) => {
  switch (line.split(' ')[0]?.toUpperCase()) {
    case 'STARTTLS':
      peer.send('220 go\r\n')
      await peer.acceptTls(certificate)
      return undefined
    case 'EHLO':
      peer.send('250-fritz\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n')
      return undefined
    case 'AUTH': {
      const isRight = !isWrong(line)
      peer.send(isRight ? '235 2.7.0 Logged in\r\n' : '535 5.7.8 no\r\n')
      // What came along would be taken for the answer to the client's first command.
      if (isRight && surplus !== '') await peer.expect(/^(?=.*\r\n)/)
      if (isRight) peer.send(surplus)
      return isRight
    }
    default:
      peer.send('500 what\r\n')
      return undefined
  }
}

const serve = { imap, pop3, sieve, submission } as const

function isWrong(text: string): boolean {
  const [, base64 = ''] = /PLAIN (\S+)/i.exec(text) ?? []
  return /wrong/.test(text + Buffer.from(base64, 'base64').toString())
}
