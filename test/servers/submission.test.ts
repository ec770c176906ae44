/** Mail programs that others wrote, sending through the submission proxy and real Dovecots. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { Dovecot } from '../../src/demo/dovecot.ts'
import { Peer } from '../support/peer.ts'
import { password, RealSite, takesTokens, tokenFor } from '../support/real-site.ts'
import { skipWithout, type ToolResult } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'openssl', 'swaks', 'msmtp', 'curl')

describe('mail programs at the submission proxy before two Dovecots', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start({ submission: true, backendTls: 'starttls', takesTokens })
    writeFileSync(site.dir.join('letter'), 'Subject: by curl\r\n\r\nhello\r\n')
    // Every worker has asked every back-end what it offers.
    const { workers } = await site.daemon.waitFor('daemon.ready')
    for (let count = 1; ; count++) {
      const known = site.daemon.eventsOf('backend.offers')
      if (known.filter(({ protocol }) => protocol === 'submission').length >= workers * 2) return
      await site.daemon.waitFor('backend.offers', count)
    }
  })
  after(() => site[Symbol.asyncDispose]())

  /** One message by swaks; options override its defaults. */
  function send(login: string, to: string, ...options: readonly string[]): Promise<ToolResult> {
    const server = ['--server', '127.0.0.1', '--port', String(site.port('submission'))]
    const trust = ['--tls-verify', '--tls-ca-path', site.caFile]
    const who = ['--auth-user', login, '--auth-password', password, '--from', 'me@example.com']
    return site.tool('swaks', ...server, ...trust, ...who, '--to', to, ...options)
  }

  async function reload(config: string): Promise<void> {
    writeFileSync(site.daemon.configFile, config)
    const { code, stderr } = await site.daemon.command('reload')
    assert.equal(code, 0, stderr)
  }

  async function arrived(backend: Dovecot, user: string, subject: string): Promise<void> {
    const subjects = await site.subjects(backend, user)
    assert.ok(subjects.includes(subject), subjects.join())
  }

  for (const [user, options] of [
    ['bob', ['--tls', '--auth', 'PLAIN']],
    ['ann@example.com', ['--tls', '--auth', 'LOGIN']],
    ['dora', ['--auth', 'PLAIN']],
  ] as const) {
    test(`swaks sends as ${user} with ${options.join(' ')}`, async () => {
      const subject = `from ${user}`
      const header = ['--header', `Subject: ${subject}`]
      const { code, stdout } = await send(user, 'nora@example.com', ...options, ...header)
      assert.equal(code, 0, stdout)
      assert.match(stdout, /^<[~-] {1,2}235 2\.7\.0 /m)
      await arrived(site.ingrid, 'nora', subject)
    })
  }

  test('swaks sends over implicit TLS', async () => {
    const port = ['--port', String(site.port('submission', 1)), '--tls-on-connect']
    const header = ['--header', 'Subject: implicit']
    const { code, stdout } = await send('zoe', 'karl@example.com', ...port, ...header)
    assert.equal(code, 0, stdout)
    await arrived(site.fritz, 'karl', 'implicit')
  })

  for (const mechanism of ['plain', 'scram-sha-256']) {
    test(`msmtp sends over STARTTLS with ${mechanism} and a verified certificate`, async () => {
      const file = site.dir.join(`msmtprc-${mechanism}`)
      writeFileSync(
        file,
        `account default
host localhost
port ${site.port('submission')}
from carl@example.com
user carl@example.com
password ${password}
auth ${mechanism}
tls on
tls_starttls on
tls_trust_file ${site.caFile}
`,
        { mode: 0o600 },
      )
      const message = `Subject: by ${mechanism}\n\n.a dot, and\n.\nmore\n`
      writeFileSync(site.dir.join('message'), message)
      const run = 'exec msmtp "$@" < message'
      const words = ['-C', file, 'otto@example.com', 'ida@example.com']
      const { code, stderr } = await site.tool('sh', '-c', run, 'sh', ...words)
      assert.equal(code, 0, stderr)
      await arrived(site.ingrid, 'otto', `by ${mechanism}`)
      await arrived(site.fritz, 'ida', `by ${mechanism}`)
    })
  }

  test('curl sends with whatever is offered, and with a token', async () => {
    const url = `smtp://127.0.0.1:${site.port('submission')}/client.example.net`
    const letter = ['--ssl-reqd', '--mail-from', 'emil@example.com', '--upload-file', 'letter']
    for (const [index, login] of [
      ['-u', `emil:${password}`],
      ...(takesTokens
        ? [['-u', 'emil@example.com:', '--oauth2-bearer', tokenFor('emil@example.com')]]
        : []),
    ].entries()) {
      const to = ['rosa@example.com', 'sven@example.com'][index] ?? ''
      const { code, stderr } = await site.curl(url, ...letter, '--mail-rcpt', to, ...login)
      assert.equal(code, 0, stderr)
      await arrived(site.ingrid, to.replace(/@.*/, ''), 'by curl')
    }
  })

  test('a wrong password, an unknown user and an unknown domain are refused alike', async () => {
    const heard = new Set<string>()
    for (const login of ['bob', 'walter', 'eve@example.org']) {
      const wrong = ['--tls', '--auth', 'PLAIN', '--auth-password', 'wrong']
      const { code, stdout } = await send(login, 'nora@example.com', ...wrong)
      assert.equal(code, 28, `swaks: authentication failed: ${stdout}`)
      heard.add(/^<~\* (.*)$/m.exec(stdout)?.[1] ?? stdout)
    }
    assert.deepEqual([...heard], ['535 5.7.8 Authentication failed.'])
  })

  test('who does not log in sends nothing', async () => {
    const server = ['--server', '127.0.0.1', '--port', String(site.port('submission'))]
    const { stdout } = await site.tool(
      'swaks',
      ...server,
      '--from',
      'a@b.c',
      '--to',
      'bob@example.com',
    )
    assert.match(stdout, /^<\*\* 530 5\.7\.0 authentication required$/m)
  })

  test('what the back-end says of a recipient is what the client hears', async () => {
    const { stdout } = await send('bob', 'nobody@example.net', '--tls', '--auth', 'PLAIN')
    assert.match(stdout, /^<~\* 550 5\.7\.1 /m)
  })

  test('EHLO offers before the login what the back-end does, and after it that itself answers', async () => {
    using client = await Peer.connect(site.port('submission'))
    await client.line()
    client.send('EHLO client.example.net\r\n')
    const [before] = await client.expect(/^(?:250-.*\r\n)*250 .*\r\n/)
    for (const word of ['SIZE', '8BITMIME', 'PIPELINING', 'AUTH PLAIN LOGIN', 'STARTTLS']) {
      assert.match(before, new RegExp(`^250[ -]${word}`, 'm'))
    }
    const message = Buffer.from(`\0bob\0${password}`).toString('base64')
    client.send(`AUTH PLAIN ${message}\r\nEHLO client.example.net\r\n`)
    await client.expect(/^235 .*\r\n/)
    const [inside] = await client.expect(/^(?:250-.*\r\n)*250 .*\r\n/)
    assert.match(inside, /^250-fritz\.example\.com\r\n/)
    const offered = [...before.matchAll(/^250[ -](\S+)/gm)].map(([, word]) => word ?? '')
    const ours = new Set(['mx.example.com', 'AUTH', 'STARTTLS'])
    for (const word of offered.filter((one) => !ours.has(one))) {
      assert.match(inside, new RegExp(`^250[ -]${word}`, 'm'))
    }
  })

  test('Dovecot is told of the client by XCLIENT, and its trace line names it', async () => {
    const config = readFileSync(site.daemon.configFile, 'utf8')
    await using _ = { [Symbol.asyncDispose]: () => reload(config) }
    await reload(config.replaceAll('tls: starttls,', 'tls: starttls, client_address: xclient,'))
    const options = ['--tls', '--auth', 'PLAIN', '--ehlo', 'laptop.example.net']
    const { code, stdout } = await send('fred', 'zoe@example.com', ...options)
    assert.equal(code, 0, stdout)
    const query = ['fetch', '-u', 'zoe@example.com', 'hdr.received', 'mailbox', 'INBOX']
    assert.match(
      await site.ingrid.doveadm(...query),
      /from laptop\.example\.net \(\S*\s*\[127\.0\.0\.1\]\)\s+by fritz\.example\.com with ESMTP/,
    )
  })

  test('where senders are checked, aliases of the own are good, and others are refused', async () => {
    const config = readFileSync(site.daemon.configFile, 'utf8')
    await using _ = { [Symbol.asyncDispose]: () => reload(config) }
    await reload(`${config}check_sender: own\n`)
    const body = ['--header', 'Subject: checked', '--body', 'a\n.b\n..\nc']
    for (const [from, answer] of [
      ['carl@example.com', /^<~\* 553 5\.7\.1 /m],
      ['bob@example.net', /^<~\* 553 5\.7\.1 /m],
      ['bob+x@example.com', /^<~ {2}221 /m],
      ['team@example.com', /^<~ {2}221 /m],
    ] as const) {
      const options = ['--tls', '--auth', 'PLAIN', '--from', from, ...body]
      const { stdout } = await send('bob', 'tina@example.com', ...options)
      assert.match(stdout, answer, from)
    }
    const subjects = await site.subjects(site.ingrid, 'tina')
    assert.deepEqual(subjects, ['checked', 'checked'])
    const query = ['fetch', '-u', 'tina@example.com', 'text', 'mailbox', 'INBOX']
    const text = await site.ingrid.doveadm(...query)
    assert.equal(text.match(/^a\r?\n\.b\r?\n\.\.\r?\nc\r?$/gm)?.length, 2, text)
    const url = `smtp://127.0.0.1:${site.port('submission')}/client.example.net`
    const login = ['--ssl-reqd', '-u', `emil:${password}`, '--mail-from', 'emil@example.com']
    const letter = ['--upload-file', 'letter', '--mail-rcpt', 'ute@example.com']
    const { code, stderr } = await site.curl(url, ...login, ...letter)
    assert.equal(code, 0, stderr)
    await arrived(site.ingrid, 'ute', 'by curl')
  })

  test('the log tells of a session whose it was and where it went, and no password', async () => {
    const from = ['--from', 'paul@example.com']
    const { code, stdout } = await send(
      'paul',
      'hans@example.com',
      '--tls',
      '--auth',
      'PLAIN',
      ...from,
    )
    assert.equal(code, 0, stdout)
    for (let count = 1; ; count++) {
      const end = await site.daemon.waitFor('session.end', count)
      if (end.user !== 'paul@example.com') continue
      assert.deepEqual([end.service, end.backend, end.tls], ['submission', 'ingrid', 'TLSv1.3'])
      break
    }
    assert.doesNotMatch(JSON.stringify(site.daemon.events), new RegExp(password))
    assert.deepEqual(site.daemon.eventsOf('internal'), [])
    assert.deepEqual(site.daemon.eventsOf('backend'), [])
  })
})
