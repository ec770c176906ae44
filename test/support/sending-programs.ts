/** Rounds of programs that send a letter to their own user: swaks, msmtp, curl. */
import { password, sinceLogin, type Twin } from './twin.ts'

const laptop = 'laptop.example.net'

export async function swaksRound(twin: Twin): Promise<unknown> {
  const head = 'From: %FROM_ADDRESS%\nTo: %TO_ADDRESS%\nSubject: by swaks\n'
  twin.write('letter', `${head}Message-Id: <swaks@example.net>\n\n.dot\n..\nGrüße\n.`)
  const port = String(twin.ports.submission)
  const server = ['--server', 'localhost', '--port', port, '--ehlo', laptop]
  const login = ['--auth', 'PLAIN', '--auth-user', twin.login, '--auth-password', password]
  const trust = ['--tls', '--tls-verify', '--tls-ca-path', twin.caFile]
  const letter = ['--from', twin.login, '--to', twin.login, '--data', '@letter']
  const { stdout } = await twin.run('swaks', ...server, ...login, ...trust, ...letter)
  return sinceLogin(twin.neutral(stdout))
}

export async function msmtpRound(twin: Twin): Promise<unknown> {
  const file = twin.write(
    'msmtprc',
    `account default
host localhost
port ${twin.ports.submission}
from ${twin.login}
user ${twin.login}
password ${password}
auth plain
tls on
tls_starttls on
tls_trust_file ${twin.caFile}
domain ${laptop}
`,
  )
  const head = 'Subject: by msmtp\nDate: Tue, 3 Nov 2020 12:00:00 +0000\n'
  twin.write('letter', `${head}Message-Id: <msmtp@example.net>\n\n.dot\n.\n..\nmore\n`)
  const words = ['msmtp', '--debug', '-C', file, twin.login]
  const { stdout } = await twin.run('sh', '-c', 'exec "$@" < letter', 'sh', ...words)
  return sinceLogin(twin.neutral(stdout))
}

export async function curlSendsRound(twin: Twin): Promise<unknown> {
  twin.write('letter', 'Subject: by curl\r\nMessage-Id: <curl@example.net>\r\n\r\n.dot\r\n..\r\n')
  const url = `smtp://localhost:${twin.ports.submission}/${laptop}`
  const options = ['-q', '--verbose', '--no-progress-meter', '--ssl-reqd', '--cacert', twin.caFile]
  const login = ['-u', `${twin.login}:${password}`, '--login-options', 'AUTH=PLAIN']
  const letter = ['--mail-from', twin.login, '--mail-rcpt', twin.login, '--upload-file', 'letter']
  const { stderr } = await twin.run('curl', ...options, url, ...login, ...letter)
  return sinceLogin(twin.neutral(stderr)).filter((line) => /^[<>] /.test(line))
}
