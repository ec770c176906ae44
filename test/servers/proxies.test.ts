/** Mail programs that others wrote, logged in through the proxies to real Dovecots. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { ImapFlow } from 'imapflow'
import type { Service } from '../../src/config/config.ts'
import type { Dovecot } from '../../src/demo/dovecot.ts'
import { freezeUser, thawUser } from '../../src/control/freeze.ts'
import { whoIsThere } from '../../src/control/who.ts'
import { Peer } from '../support/peer.ts'
import { password, RealSite, takesTokens, tokenFor } from '../support/real-site.ts'
import { answer, base64, challenge, fromBase64, greeted, saslWords } from '../support/sasl-login.ts'
import { ScramClient } from '../support/scram.ts'
import { bigScript, sieveRound } from '../support/sieve-round.ts'
import { skipWithout, type ToolResult } from '../support/tools.ts'

const clients = ['swaks', 'curl', 'mbsync', 'fetchmail', 'mpop', 'sieve-connect']
const skip = skipWithout('dovecot', 'openssl', ...clients)

/** What a Dovecot has logged of zoe's logins from the address that a test comes from. */
function loginsOf(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => /Login: user=<zoe@example.com>.*rip=127\.0\.0\.9/.test(line))
}

describe('mail programs at the proxies before two Dovecots', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start({ sieve: true, takesTokens, tellsClients: true })
    for (const user of ['ann', 'nora', 'otto']) await seed(site.ingrid, user)
    for (const user of ['bob', 'carl', 'dora', 'gina']) await seed(site.fritz, user)
    await mechanismsKnown()
  })
  after(() => site[Symbol.asyncDispose]())

  /** Puts messages into a mailbox without mailmux. */
  async function seed(backend: Dovecot, user: string) {
    for (const subject of [`first of ${user}`, `second of ${user}`]) {
      const server = ['--server', '127.0.0.1', '--port', String(backend.ports.lmtp)]
      const options = ['--protocol', 'LMTP', '--header', `Subject: ${subject}`]
      const to = ['--from', 'a@example.net', '--to', `${user}@example.com`]
      const { code, stdout } = await site.tool('swaks', ...server, ...options, ...to)
      assert.equal(code, 0, stdout)
    }
  }

  /** Every worker has asked every back-end how one may log in. */
  async function mechanismsKnown(): Promise<void> {
    const { workers } = await site.daemon.waitFor('daemon.ready')
    for (let count = 1; ; count++) {
      const known = site.daemon.eventsOf('backend.offers')
      if (known.filter(({ protocol }) => protocol !== 'lmtp').length >= workers * 6) return
      await site.daemon.waitFor('backend.offers', count)
    }
  }

  async function sessionOf(user: string, service: Service) {
    for (let count = 1; ; count++) {
      const end = await site.daemon.waitFor('session.end', count)
      if (end.user === user && end.service === service) return end
    }
  }

  test('back-ends hear where clients come from', async () => {
    const secret = base64(`\0zoe\0${password}`)
    for (const [service, greeted, login] of [
      [
        'imap',
        /^\* OK .*\r\n/,
        `i ID ("name" "Mulberry" "x-session-id" "forged")\r\na LOGIN zoe "${password}"\r\n`,
      ],
      ['pop3', /^\+OK.*\r\n/, `USER zoe\r\nPASS ${password}\r\n`],
      ['sieve', /\r\nOK.*\r\n/, `AUTHENTICATE "PLAIN" "${secret}"\r\n`],
    ] as const) {
      using peer = await Peer.connect(site.port(service), '127.0.0.1', '127.0.0.9')
      await peer.expect(greeted)
      peer.send(login)
      await peer.expect(/(?:^|\n)(?:a OK|\+OK Logged|OK).*\r\n/)
    }
    // Dovecot's log is written by another process of it.
    const late = performance.now() + 10_000
    const file = site.ingrid.logFile
    while (loginsOf(file).length < 3 && performance.now() < late) await new Promise(setImmediate)
    assert.deepEqual(
      loginsOf(file)
        .map((line) => /(\w+)-login/.exec(line)?.[1])
        .toSorted((one = '', other = '') => one.localeCompare(other)),
      ['imap', 'managesieve', 'pop3'],
    )
    if (!takesTokens) return
    const log = readFileSync(file, 'utf8')
    assert.match(log, /ID sent:.*name=Mulberry/)
    assert.doesNotMatch(log, /forged/)
  })

  for (const [scheme, index, tls] of [
    ['imap', 0, []],
    ['imap', 0, ['--ssl-reqd']],
    ['imaps', 1, []],
  ] as const) {
    test(`curl reads by ${scheme} ${tls.join('')} on both back-ends`, async () => {
      for (const user of ['ann', 'bob']) {
        const url = `${scheme}://127.0.0.1:${site.port('imap', index)}/INBOX/;MAILINDEX=1`
        const { code, stdout, stderr } = await site.curl(...tls, url, '-u', `${user}:${password}`)
        assert.equal(code, 0, stderr)
        assert.match(stdout, new RegExp(`^Subject: first of ${user}\\r$`, 'm'))
      }
    })
  }

  for (const [scheme, index, tls] of [
    ['pop3', 0, []],
    ['pop3', 0, ['--ssl-reqd']],
    ['pop3s', 1, []],
  ] as const) {
    test(`curl reads by ${scheme} ${tls.join('')} on both back-ends`, async () => {
      for (const user of ['ann', 'bob']) {
        const url = `${scheme}://127.0.0.1:${site.port('pop3', index)}/2`
        const { code, stdout, stderr } = await site.curl(...tls, url, '-u', `${user}:${password}`)
        assert.equal(code, 0, stderr)
        assert.match(stdout, new RegExp(`^Subject: second of ${user}\\r$`, 'm'))
      }
    })
  }

  test('every way to log in that curl knows is taken', async () => {
    for (const [service, options] of [
      ['imap', 'AUTH=PLAIN'],
      ['imap', 'AUTH=*'],
      ['pop3', 'AUTH=PLAIN'],
      ['pop3', 'AUTH=*'],
    ] as const) {
      const url = `${service}://127.0.0.1:${site.port(service)}/`
      const login = ['-u', `bob:${password}`, '--login-options', options]
      const { code, stderr } = await site.curl(url, ...login)
      assert.equal(code, 0, `${service} ${options}: ${stderr}`)
    }
  })

  test('a wrong password, an unknown user and an unknown domain are refused alike', async () => {
    for (const service of ['imap', 'pop3'] as const) {
      const heard = new Set<string>()
      for (const login of ['bob:wrong', 'walter:wrong', 'eve@example.org:wrong']) {
        const url = `${service}://127.0.0.1:${site.port(service)}/`
        const { code, stderr } = await site.curl('--verbose', url, '-u', login)
        assert.equal(code, 67, `curl: login denied: ${stderr}`)
        heard.add(/^< (?:\w+ NO|-ERR) (.*)$/m.exec(stderr)?.[1] ?? stderr)
      }
      assert.equal(heard.size, 1, [...heard].join('\n'))
    }
  })

  test('a token opens the mailbox of its user, and no other', { skip: !takesTokens }, async () => {
    for (const service of ['imap', 'pop3'] as const) {
      const url = `${service}://127.0.0.1:${site.port(service)}/`
      for (const [login, owner, expected] of [
        ['ann@example.com', 'ann@example.com', 0],
        ['bob', 'bob@example.com', 0],
        ['bob@example.com', 'ann@example.com', 67],
      ] as const) {
        const bearer = ['-u', `${login}:`, '--oauth2-bearer', tokenFor(owner)]
        const { code, stderr } = await site.curl(url, ...bearer)
        assert.equal(code, expected, `${service} ${login}: ${stderr}`)
      }
    }
  })

  test('who is not there is asked by SCRAM as those are who are', async () => {
    const heard = new Set<string>()
    // In this order: what Dovecot says first is known before it was seen.
    for (const login of ['eve@example.org', 'bob@example.com', 'walter']) {
      using client = await Peer.connect(site.port('imap'))
      await client.line()
      const scram = new ScramClient('SCRAM-SHA-256', login, 'wrong')
      client.send(`a AUTHENTICATE SCRAM-SHA-256 ${base64(scram.first)}\r\n`)
      const said = await challenge(client)
      client.send(`${base64(scram.answer(said))}\r\n`)
      const [, nonce = '', salt = '', rest = ''] = /^r=([^,]+),s=([^,]+)(.*)$/.exec(said) ?? []
      heard.add(`${nonce.length - scram.first.replace(/^.*r=/, '').length}`)
      heard.add(`${fromBase64(salt).length} ${rest} ${await client.line()}`)
    }
    assert.equal(heard.size, 2, [...heard].join('\n'))
  })

  for (const mechanism of ['LOGIN', 'SCRAM-SHA-256']) {
    test(`mbsync pulls a whole mailbox over STARTTLS with ${mechanism}`, () => pull(mechanism))
  }

  async function pull(mechanism: string): Promise<void> {
    const near = site.dir.join(`mbsync-${mechanism}`)
    const file = site.dir.join(`mbsyncrc-${mechanism}`)
    writeFileSync(
      file,
      `IMAPAccount site
Host localhost
Port ${site.port('imap')}
User carl@example.com
Pass "${password}"
AuthMechs ${mechanism}
SSLType STARTTLS
SystemCertificates no
CertificateFile ${site.caFile}

IMAPStore far
Account site

MaildirStore near
Inbox ${near}

Channel inbox
Far :far:
Near :near:
Create Near
Sync Pull
SyncState *
`,
    )
    const { code, stderr } = await site.tool('mbsync', '-c', file, 'inbox')
    assert.equal(code, 0, stderr)
    assert.deepEqual(subjectsIn(near), ['first of carl', 'second of carl'])
  }

  test('fetchmail collects by POP3 with STLS and a verified certificate', async () => {
    const file = site.dir.join('fetchmailrc')
    const box = site.dir.join('fetched')
    writeFileSync(
      file,
      `poll localhost protocol POP3 port ${site.port('pop3')} uidl
  username "nora" password "${password}" fetchall keep
  sslproto 'TLS1.2+' sslcertck sslcertfile "${site.caFile}"
  mda "cat >> ${box}"
`,
      { mode: 0o600 },
    )
    const own = ['--idfile', site.dir.join('ids'), '--pidfile', site.dir.join('fetchmail.pid')]
    const { code, stdout, stderr } = await site.tool('fetchmail', '-f', file, '-N', ...own)
    assert.equal(code, 0, stdout + stderr)
    const subjects = readFileSync(box, 'utf8').match(/^Subject: .*$/gm)
    assert.deepEqual(subjects, ['Subject: first of nora', 'Subject: second of nora'])
  })

  test('mpop collects by POP3 over implicit TLS with SCRAM, and leaves nothing behind', async () => {
    const file = site.dir.join('mpoprc')
    const near = site.dir.join('mpop')
    writeFileSync(
      file,
      `account site
host localhost
port ${site.port('pop3', 1)}
user otto@example.com
password ${password}
auth scram-sha-256
tls on
tls_starttls off
tls_trust_file ${site.caFile}
uidls_file ${site.dir.join('uidls')}
delivery mbox ${near}
keep off
`,
      { mode: 0o600 },
    )
    const { code, stdout, stderr } = await site.tool('mpop', '-C', file, 'site')
    assert.equal(code, 0, stdout + stderr)
    const subjects = readFileSync(near, 'utf8').match(/^Subject: .*$/gm)
    assert.deepEqual(subjects, ['Subject: first of otto', 'Subject: second of otto'])
    assert.deepEqual(await site.subjects(site.ingrid, 'otto'), [])
  })

  /** Runs these steps over STARTTLS with a verified certificate. */
  function sieveConnect(user: string, steps: string, ...options: string[]): Promise<ToolResult> {
    writeFileSync(site.dir.join('password'), `${password}\n`)
    writeFileSync(site.dir.join('steps'), steps)
    const server = ['--server', 'localhost', '--port', String(site.port('sieve')), '--4']
    const tls = ['--tlscafile', site.caFile, '--noclearauth', '--noclearchan']
    const login = ['--user', user, '--passwordfd', '3', '--exec', 'steps', ...options]
    const run = 'exec sieve-connect "$@" 3<password'
    return site.tool('sh', '-c', run, 'sh', ...server, ...tls, ...login)
  }

  test('sieve-connect stores, runs, lists, fetches and removes a script over STARTTLS', async () => {
    writeFileSync(site.dir.join('up.sieve'), bigScript)
    const steps = ['upload up.sieve big', 'activate big', 'list', 'download big down.sieve']
    const script = [...steps, 'deactivate', 'delete big', 'list'].join('\n')
    const { code, stdout, stderr } = await sieveConnect('ann', script)
    assert.equal(code, 0, stdout + stderr)
    assert.equal(stderr, '')
    assert.match(stdout, /^"big" ACTIVE$/m)
    assert.equal(readFileSync(site.dir.join('down.sieve'), 'utf8'), bigScript)
    const end = await sessionOf('ann@example.com', 'sieve')
    assert.equal(end.tls, 'TLSv1.3')
    assert.ok(end.bytes_in > bigScript.length)
  })

  for (const mechanism of ['PLAIN', 'LOGIN']) {
    test(`sieve-connect logs in with ${mechanism}`, async () => {
      const { code, stdout, stderr } = await sieveConnect('rosa', 'list', '--authmech', mechanism)
      assert.equal(code, 0, stdout + stderr)
    })
  }

  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1'] as const) {
    test(`ManageSieve carries ${mechanism} to its end, whichever way the back-end tells it`, async () => {
      using client = await greeted(await Peer.connect(site.port('sieve')), 'sieve')
      const words = saslWords.sieve
      for (const secret of ['wrong', password]) {
        const scram = new ScramClient(mechanism, 'hans@example.com', secret)
        client.send(words.start(mechanism, scram.first))
        client.send(answer('sieve', base64(scram.answer(await challenge(client)))))
        if (secret === 'wrong') await client.expect(words.refused)
        else assert.ok(scram.trusts(await challenge(client)))
      }
      client.send(`${answer('sieve', '')}LISTSCRIPTS\r\n`)
      await client.expect(words.accepted)
      await client.expect(/^OK .*\r\n/)
    })
  }

  test('a token opens the scripts of its user', { skip: !takesTokens }, async () => {
    using client = await greeted(await Peer.connect(site.port('sieve')), 'sieve')
    const words = saslWords.sieve
    const [ours, theirs] = ['hans@example.com', 'ida@example.com'].map(
      (owner) => `n,a=hans@example.com,\x01auth=Bearer ${tokenFor(owner)}\x01\x01`,
    )
    client.send(words.start('OAUTHBEARER', theirs ?? ''))
    assert.match(await challenge(client), /^\{/)
    client.send(answer('sieve', 'AQ=='))
    await client.expect(words.refused)
    client.send(`${words.start('OAUTHBEARER', ours ?? '')}LISTSCRIPTS\r\n`)
    await client.expect(words.accepted)
    await client.expect(/^OK .*\r\n/)
  })

  test('a whole round of ManageSieve says the same bytes as the back-end itself', async () => {
    const far = { user: 'fred@example.com', password }
    const direct = await sieveRound(site.fritz.ports.sieve, far)
    assert.ok(direct.includes(bigScript))
    assert.match(direct, /^NO \{\d+\}\r\n/m)
    assert.match(direct, /^NO \(NONEXISTENT\)/m)
    const tls = { ca: readFileSync(site.caFile, 'utf8'), servername: 'localhost' }
    assert.equal(await sieveRound(site.port('sieve'), { ...far, user: 'fred' }), direct)
    assert.equal(await sieveRound(site.port('sieve'), { ...far, tls }), direct)
  })

  test('before its login a ManageSieve client is told what its back-end has', async () => {
    const { workers } = await site.daemon.waitFor('daemon.ready')
    await site.daemon.waitFor('backend.offers', 2 * 2 * workers)
    assert.deepEqual(await toldBy(site.port('sieve')), await toldBy(site.fritz.ports.sieve))
    const place = `127.0.0.1:${site.port('sieve')}`
    const client = [
      'openssl',
      's_client',
      '-starttls',
      'sieve',
      '-connect',
      place,
      '-quiet',
      '-crlf',
    ]
    const trust = ['-CAfile', site.caFile, '-verify_return_error']
    const run = 'echo LOGOUT | "$@"'
    const { stdout, stderr } = await site.tool('sh', '-c', run, 'sh', ...client, ...trust)
    assert.match(stdout, /^OK "TLS is active\."\r\nOK "Logging out\."\r\n$/m, stderr)
  })

  test('imapflow lists, appends, fetches and is told of new mail while it idles', async () => {
    await using session = await open(site.imap('dora@example.com'))
    const { imap } = session
    const folders = await imap.list()
    assert.ok(folders.some(({ path }) => path === 'INBOX'))
    await imap.append('INBOX', 'Subject: appended\r\n\r\nby hand\r\n')
    await imap.mailboxOpen('INBOX')
    const all = await imap.fetchAll('1:*', { envelope: true })
    assert.deepEqual(
      all.map(({ envelope }) => envelope?.subject),
      ['first of dora', 'second of dora', 'appended'],
    )
    const told = once(imap, 'exists') as Promise<[{ count: number }]>
    const idling = imap.idle()
    const { code, stdout } = await site.swaks('dora@example.com')
    assert.equal(code, 0, stdout)
    const [{ count }] = await told
    assert.equal(count, 4)
    await imap.noop()
    await idling
  })

  test('a freeze ends IDLE, an APPEND and a POP3 session; who comes meanwhile waits, and gets the new home', async () => {
    const runDir = site.dir.join('run')
    const frozen = { user: 'gina@example.com', epoch: 1 }
    using idle = await Peer.connect(site.port('imap'))
    idle.send(`a LOGIN gina "${password}"\r\nb SELECT INBOX\r\nc IDLE\r\n`)
    await idle.expect(/^b OK .*\r\n/m)
    await idle.expect(/^\+ idling\r\n/m)
    using deleting = await Peer.connect(site.port('pop3'))
    deleting.send(`USER gina\r\nPASS ${password}\r\nDELE 1\r\n`)
    await deleting.expect(/^\+OK Marked to be deleted\.\r\n/m)
    using appending = await Peer.connect(site.port('imap'))
    appending.send(`a LOGIN gina "${password}"\r\nb APPEND INBOX {30}\r\n`)
    await appending.expect(/^\+ OK\r\n/m)
    appending.send('Subject: half\r\n')

    const report = await freezeUser(runDir, { ...frozen, ttl_ms: 60_000 })
    assert.equal(report?.complete, true)
    assert.equal(
      report.processes.reduce((sum, { sessions }) => sum + sessions, 0),
      3,
    )
    assert.match(await appending.end(), /^\* BYE \[UNAVAILABLE\] [^\r]*\r\n$/)
    assert.match(await idle.end(), /^\* BYE \[UNAVAILABLE\] [^\r]*\r\n$/)
    assert.match(await deleting.end(), /^-ERR \[SYS\/TEMP\] [^\r]*\r\n$/)
    for (const service of ['imap', 'pop3'] as const) {
      assert.equal((await sessionOf('gina@example.com', service)).end, 'kicked')
    }
    assert.deepEqual(await site.subjects(site.fritz, 'gina'), ['first of gina', 'second of gina'])
    const mail = await site.swaks('gina@example.com')
    assert.match(mail.stdout, /<\*\* 450 4\.2\.1 /)

    // Another mailbox stands for the copy of hers at the new home.
    // SCRAM would hold for her own name alone.
    const login = ['-u', `gina:${password}`, '--login-options', 'AUTH=PLAIN']
    const coming = (['imap', 'pop3'] as const).map((service) =>
      site.curl(`${service}s://127.0.0.1:${site.port(service, 1)}/`, ...login),
    )
    for (let waiting = 0; waiting < 2; ) {
      const { sessions } = await whoIsThere(runDir, { user: 'gina' })
      waiting = sessions.filter(({ state }) => state === 'held').length
    }
    const moved = await site.daemon.command(
      'user',
      'add',
      'gina',
      'tina@example.com@ingrid',
      '--replace',
    )
    assert.equal(moved.code, 0, moved.stderr)
    assert.equal((await thawUser(runDir, frozen))?.thawed, true)
    for (const { code, stderr } of await Promise.all(coming)) assert.equal(code, 0, stderr)
    for (let count = 1, there = 0; there < 2; count++) {
      const end = await site.daemon.waitFor('session.end', count)
      if (end.user === 'gina@example.com' && end.backend === 'ingrid') there++
    }
    const held = site.daemon.eventsOf('login.held')
    assert.deepEqual(new Set(held.map(({ outcome }) => outcome)), new Set(['thawed']))
  })

  test('the log tells of a session whose it was and where it went, and no password', async () => {
    for (const [user, backend] of [
      ['paul', 'ingrid'],
      ['emil', 'fritz'],
    ] as const) {
      const url = `imaps://127.0.0.1:${site.port('imap', 1)}/`
      const { code, stderr } = await site.curl(url, '-u', `${user}:${password}`)
      assert.equal(code, 0, stderr)
      const end = await sessionOf(`${user}@example.com`, 'imap')
      assert.equal(end.backend, backend)
    }
    assert.doesNotMatch(JSON.stringify(site.daemon.events), new RegExp(password))
    assert.deepEqual(site.daemon.eventsOf('internal'), [])
  })
})

/** The capabilities that are the same before and after a login, as a server greets with them. */
async function toldBy(port: number): Promise<(string | undefined)[]> {
  using peer = await Peer.connect(port)
  const [text] = await peer.expect(/^(?:".*\r\n)+OK /)
  return ['SIEVE', 'NOTIFY', 'VERSION'].map(
    (name) => new RegExp(`^"${name}".*`, 'm').exec(text)?.[0],
  )
}

function subjectsIn(maildir: string): string[] {
  assert.ok(existsSync(maildir), `${maildir} was made`)
  return globSync(`${maildir}/{cur,new}/*`)
    .map((file) => /^Subject: (.*)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? '')
    .sort()
}

async function open(opening: Promise<ImapFlow>): Promise<AsyncDisposable & { imap: ImapFlow }> {
  const imap = await opening
  return { imap, [Symbol.asyncDispose]: () => imap.logout() }
}
