/** Users of a Dovecot without submission who send by a Postfix that knows none of them. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Dovecot } from '../../src/demo/dovecot.ts'
import { buildMapOf, type Daemon, startDaemon, writeConfig } from '../support/daemon.ts'
import { Postfix, skipWithoutPostfix } from '../support/postfix.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { runTool, skipWithout, type ToolResult } from '../support/tools.ts'

const skip = skipWithoutPostfix() || skipWithout('dovecot', 'swaks', 'msmtp')
const password = 'correct horse'
const ourPassword = 'battery staple'

interface Site {
  readonly dir: TempDir
  readonly postfix: Postfix
  readonly daemon: Daemon
  readonly config: (login: string, port?: number) => string
}

/** fritz has the mailboxes; `out` judges our own login by another Dovecot. */
async function startSite(resources: AsyncDisposableStack): Promise<Site> {
  const [dir, postfixDir] = [resources.use(tempDir()), resources.use(tempDir())]
  chmodSync(dir.path, 0o755)
  const socket = dir.join('sasl')
  const further = ['service auth {', `  unix_listener ${socket} {`, '    mode = 0666', '  }', '}']
  const [fritz] = await Promise.all([
    Dovecot.start({
      name: 'fritz',
      folder: dir.join('fritz'),
      users: ['ann', 'bob'].map((name) => ({ address: `${name}@example.com`, password })),
    }),
    Dovecot.start({
      name: 'judge',
      folder: dir.join('judge'),
      users: [{ address: 'mailmux@example.com', password: ourPassword }],
      further,
    }).then((judge) => resources.use(judge)),
  ])
  resources.use(fritz)
  const postfix = resources.use(await Postfix.start(postfixDir, {}, socket))
  writeFileSync(dir.join('rules'), '* fritz\n')
  writeFileSync(dir.join('aliases'), 'team: ann\n')
  writeFileSync(dir.join('out.password'), `${ourPassword}\n`)
  const { imap, pop3, lmtp } = fritz.ports
  const config = (login: string, port = postfix.submissionPort): string =>
    `hostname: mx.example.com
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, lmtp: ${lmtp}, imap: ${imap}, pop3: ${pop3}}
  out: {host: 127.0.0.1, smtp: ${postfix.port}, submission: ${port}, client_address: xclient}
smarthost: {backend: out, submission: ${login}}
check_sender: own
map: {aliases: aliases, rules: rules}
listen: {submission: ["127.0.0.1:0"]}
limits: {auth_failure_delay: 100ms, drain_timeout: 2s}
`
  const text = config(byPassword)
  await buildMapOf(dir, text)
  const daemon = resources.use(await startDaemon({ dir, config: text }))
  return { dir, postfix, daemon, config }
}

const byPassword = '{user: mailmux@example.com, password_file: out.password}'

describe('mail programs that send by a Postfix as the smarthost', { skip }, () => {
  const resources = new AsyncDisposableStack()
  let site: Site
  before(async () => {
    site = await startSite(resources)
  })
  after(() => resources.disposeAsync())

  async function use(text: string): Promise<void> {
    writeConfig(site.dir, text)
    const { code, stderr } = await site.daemon.command('reload')
    assert.equal(code, 0, stderr)
  }

  function swaks(from: string, ...options: readonly string[]): Promise<ToolResult> {
    const server = ['--server', '127.0.0.1', '--port', String(site.daemon.port('submission'))]
    const who = ['--auth', 'PLAIN', '--auth-user', 'ann', '--auth-password', password]
    const words = [...server, ...who, '--from', from, '--to', 'x@example.net', ...options]
    return runTool(site.dir.path, 'swaks', words)
  }

  test('Postfix logs our name, and the address of the client', async () => {
    const { code, stdout } = await swaks('ann@example.com')
    assert.equal(code, 0, stdout)
    assert.match(stdout, /^<- {2}235 2\.7\.0 /m)
    await site.postfix.logged(
      /client=\S*\[127\.0\.0\.1\], sasl_method=PLAIN, sasl_username=mailmux@example\.com/,
    )
    await site.postfix.logged(/to=<x@example\.net>,.*status=sent/)
  })

  test('msmtp sends as an alias that leads to its user', async () => {
    const file = site.dir.join('msmtprc')
    const lines = [
      'account default',
      'host 127.0.0.1',
      `port ${site.daemon.port('submission')}`,
      'from team@example.com',
      'user ann@example.com',
      `password ${password}`,
      'auth plain',
      'tls off',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    writeFileSync(site.dir.join('message'), 'Subject: by msmtp\n\n.a dot\n')
    const run = 'exec msmtp "$@" < message'
    const words = ['-c', run, 'sh', '-C', file, 'y@example.net']
    const { code, stderr } = await runTool(site.dir.path, 'sh', words)
    assert.equal(code, 0, stderr)
    await site.postfix.logged(/from=<team@example\.com>/)
    await site.postfix.logged(/to=<y@example\.net>,.*status=sent/)
  })

  test('neither a wrong password nor a sender of somebody else comes through', async () => {
    const wrong = await swaks('ann@example.com', '--auth-password', 'wrong')
    assert.match(wrong.stdout, /^<\*\* 535 5\.7\.8 Authentication failed\.$/m)
    for (const from of ['bob@example.com', 'ann@example.net']) {
      const { stdout } = await swaks(from, '--to', 'never@example.net')
      assert.match(stdout, /^<\*\* 553 5\.7\.1 /m, from)
    }
    assert.doesNotMatch(JSON.stringify(site.daemon.events), /correct horse|battery staple/)
  })

  test('Postfix believes XCLIENT who has logged in, and asks for no password', async () => {
    await using _ = { [Symbol.asyncDispose]: () => use(site.config(byPassword)) }
    await use(site.config('xclient'))
    const { code, stdout } = await swaks('ann@example.com', '--to', 'z@example.net')
    assert.equal(code, 0, stdout)
    await site.postfix.logged(/sasl_method=XCLIENT, sasl_username=ann@example\.com/i)
    await site.postfix.logged(/to=<z@example\.net>,.*status=sent/)
  })

  test('where the smarthost is down, or lets us not in, users are told to come again', async () => {
    await using _ = { [Symbol.asyncDispose]: () => use(site.config(byPassword)) }
    await use(site.config(byPassword, 1))
    assert.match((await swaks('ann@example.com')).stdout, /^<\*\* 454 4\.7\.0 Your mailbox/m)
    await use(site.config('{user: ann@example.com, password_file: out.password}'))
    assert.match((await swaks('ann@example.com')).stdout, /^<\*\* 454 4\.7\.0 Your mailbox/m)
    await site.daemon.waitFor('backend', 2)
    const reasons = site.daemon.eventsOf('backend').map(({ backend, reason }) => [backend, reason])
    assert.deepEqual(reasons, [
      ['out', 'refused'],
      ['out', 'admin_refused'],
    ])
  })

  test('explain shows where a user sends by', async () => {
    const { stdout } = await site.daemon.command('explain', 'ann')
    assert.match(stdout, new RegExp(`submission: out 127.0.0.1:${site.postfix.submissionPort}`))
  })
})
