/** Rounds of mail programs that collect mail, leaving it where it is, and then not: fetchmail and mpop. */
import { readFileSync } from 'node:fs'
import { brief, password, sinceLogin, type Twin } from './twin.ts'

export function fetchmailRound(protocol: 'imap' | 'pop3') {
  return async (twin: Twin): Promise<unknown> => {
    const box = twin.join('box')
    const file = twin.write(
      'fetchmailrc',
      `poll localhost protocol ${protocol} port ${twin.ports[protocol]} auth password timeout 20
  ${protocol === 'pop3' ? 'uidl' : ''}
  username "${twin.login}" password "${password}" fetchall
  sslproto 'TLS1.2+' sslcertck sslcertfile "${twin.caFile}"
  mda "cat >> ${box}"
`,
    )
    const own = ['--idfile', twin.join('ids'), '--pidfile', twin.join('fetchmail.pid')]
    // Without a line of its own in the header, which tells the port and the time.
    const options = ['-f', file, '-N', '-v', '-v', '--invisible', ...own]
    const collect = async (keep: string): Promise<unknown> => {
      const { stdout } = await twin.run('fetchmail', ...options, keep)
      const atATime = / at \w{3} \w{3} [ \d]\d [\d:]{8} \d{4}(?=: poll)/
      return sinceLogin(twin.neutral(stdout)).map((line) => line.replace(atATime, ''))
    }
    const seen = [await collect('--keep'), await collect('--nokeep')]
    return { seen, box: brief(twin.neutral(readFileSync(box, 'latin1'))) }
  }
}

export async function mpopRound(twin: Twin): Promise<unknown> {
  const box = twin.join('box')
  const file = twin.write(
    'mpoprc',
    `account site
host localhost
port ${twin.ports.pop3}
user ${twin.login}
password ${password}
auth user
tls on
tls_starttls on
tls_trust_file ${twin.caFile}
uidls_file ${twin.join('uidls')}
delivery mda cat >> ${box}
received_header off
`,
  )
  const collect = async (keep: string): Promise<unknown> => {
    const { stdout } = await twin.run('mpop', '-C', file, '--debug', `--keep=${keep}`, 'site')
    return sinceLogin(twin.neutral(stdout))
  }
  // The second time it knows all of them, and asks for none.
  const seen = [await collect('on'), await collect('on'), await collect('off')]
  return { seen, box: brief(twin.neutral(readFileSync(box, 'latin1'))) }
}
