/** Programs that others wrote, logged in by a certificate to real Dovecots that know a master user. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { type ClientCertificate, makeAuthority } from '../support/certificates.ts'
import { RealSite } from '../support/real-site.ts'
import { skipWithout, type ToolResult } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'openssl', 'swaks', 'curl', 'sieve-connect')
const clientAuthority = makeAuthority('people')

describe('clients with certificates at the proxies before two Dovecots', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start({ sieve: true, submission: true, clientAuthority })
    for (const user of ['ann', 'bob']) {
      const { code, stdout } = await site.swaks(
        `${user}@example.com`,
        '--header',
        'Subject: read me',
      )
      assert.equal(code, 0, stdout)
      certify(user, { alternatives: `email:${user}@example.com` })
    }
    certify('expired', { alternatives: 'email:bob@example.com', days: -1 })
    // No rule has a back-end for a digit.
    certify('nobody', { alternatives: 'email:1walter@example.com' })
    certify('two', { alternatives: 'email:ann@example.com,email:bob@example.com' })
    certify('stranger', { alternatives: 'email:bob@example.com' }, makeAuthority())
    writeFileSync(site.dir.join('letter'), 'Subject: by certificate\r\n\r\nhello\r\n')
    // Every worker has asked every back-end what it offers.
    const { workers } = await site.daemon.waitFor('daemon.ready')
    for (let count = 1; ; count++) {
      const known = site.daemon.eventsOf('backend.offers')
      if (known.filter(({ protocol }) => protocol !== 'lmtp').length >= workers * 8) return
      await site.daemon.waitFor('backend.offers', count)
    }
  })
  after(() => site[Symbol.asyncDispose]())

  function certify(name: string, client: ClientCertificate, authority = clientAuthority): void {
    const { cert, key } = authority.issueClient(client)
    writeFileSync(site.dir.join(`${name}.pem`), cert + key)
  }

  /** `asked`: whom it asks to be; nobody where it is ''. */
  function curl(holder: string, asked: string, ...args: readonly string[]): Promise<ToolResult> {
    const own = ['--cert', site.dir.join(`${holder}.pem`)]
    const options = ['--login-options', 'AUTH=EXTERNAL', '--user', `${asked}:`]
    return site.curl('--verbose', ...own, ...options, ...args)
  }

  for (const [scheme, service, index, path, tls] of [
    ['imap', 'imap', 0, 'INBOX/;MAILINDEX=1', ['--ssl-reqd']],
    ['imaps', 'imap', 1, 'INBOX/;MAILINDEX=1', []],
    ['pop3', 'pop3', 0, '1', ['--ssl-reqd']],
    ['pop3s', 'pop3', 1, '1', []],
  ] as const) {
    for (const version of ['1.2', '1.3']) {
      test(`curl reads by ${scheme} over TLS ${version}`, async () => {
        const url = `${scheme}://127.0.0.1:${site.port(service, index)}/${path}`
        for (const [holder, asked] of [
          ['ann', ''],
          ['bob', 'bob'],
          ['two', 'ann@example.com'],
        ] as const) {
          const { code, stdout, stderr } = await curl(
            holder,
            asked,
            ...tls,
            '--tls-max',
            version,
            url,
          )
          assert.equal(code, 0, stderr)
          assert.match(stdout, /^Subject: read me\r$/m)
          assert.match(stdout, new RegExp(`^Delivered-To: ${asked.split('@')[0] || holder}@`, 'm'))
        }
      })
    }
  }

  test('curl sends by submission', async () => {
    for (const [scheme, index] of [
      ['smtp', 0],
      ['smtps', 1],
    ] as const) {
      const url = `${scheme}://127.0.0.1:${site.port('submission', index)}/client`
      const letter = ['--mail-from', 'bob@example.com', '--mail-rcpt', 'ute@example.com']
      const sending = [...letter, '--upload-file', site.dir.join('letter'), '--ssl-reqd']
      const { code, stderr } = await curl('bob', '', ...sending, url)
      assert.equal(code, 0, stderr)
      assert.match(stderr, /^> AUTH EXTERNAL\r?$/m)
    }
    assert.deepEqual(await site.subjects(site.ingrid, 'ute'), ['by certificate', 'by certificate'])
  })

  test('sieve-connect lists scripts', async () => {
    const server = ['--server', 'localhost', '--port', String(site.port('sieve')), '--4']
    const own = ['--tlscafile', site.caFile, '--clientkeycert', site.dir.join('ann.pem')]
    const login = ['--user', 'ann@example.com', '--authmech', 'EXTERNAL', '--list', '--debug']
    const { code, stdout, stderr } = await site.tool('sieve-connect', ...server, ...own, ...login)
    assert.equal(code, 0, stdout + stderr)
    const end = await sessionOf('sieve')
    assert.equal(end.user, 'ann@example.com')
  })

  test('openssl resumes a session and is whom it was', async () => {
    const ticket = site.dir.join('ticket')
    const who = ['-cert', site.dir.join('ann.pem'), '-key', site.dir.join('ann.pem')]
    for (const [tls, own] of [
      ['-tls1_2', ['-sess_out', ticket, ...who]],
      ['-tls1_2', ['-sess_in', ticket]],
      ['-tls1_3', ['-sess_out', ticket, ...who]],
      ['-tls1_3', ['-sess_in', ticket]],
    ] as const) {
      const connect = ['-connect', `127.0.0.1:${site.port('imap', 1)}`, '-ign_eof', tls, ...own]
      const input = String.raw`a AUTHENTICATE EXTERNAL =\r\nb STATUS INBOX (MESSAGES)\r\nc LOGOUT\r\n`
      const script = `printf '${input}' | openssl s_client "$@"`
      const { stdout, stderr } = await site.tool('sh', '-c', script, 'sh', ...connect)
      assert.match(stdout, own[0] === '-sess_in' ? /Reused, / : /New, /, stderr)
      assert.match(stdout, /^a OK \[CAPABILITY .*\r$/m, stdout)
      assert.match(stdout, /^\* STATUS INBOX \(MESSAGES 1\)\r$/m)
    }
  })

  test('who may not is told so as by a wrong password, or is not offered it', async () => {
    const url = `imaps://127.0.0.1:${site.port('imap', 1)}/`
    for (const [holder, asked] of [
      ['bob', 'ann@example.com'],
      ['two', ''],
      ['nobody', ''],
    ] as const) {
      const { code, stderr } = await curl(holder, asked, url)
      assert.equal(code, 67, `curl: login denied: ${stderr}`)
      assert.match(stderr, /^< \w+ NO \[AUTHENTICATIONFAILED\] Authentication failed\.\r?$/m)
    }
    for (const holder of ['expired', 'stranger']) {
      const { code, stderr } = await curl(holder, '', url)
      assert.notEqual(code, 0)
      assert.doesNotMatch(stderr, /AUTH=EXTERNAL\b.*ready|AUTHENTICATE EXTERNAL/)
    }
    await site.daemon.waitFor('client.certificate', 4)
    const told = site.daemon.eventsOf('client.certificate')
    assert.deepEqual(told.map(({ reason, detail }) => `${reason}: ${detail}`).toSorted(), [
      'ambiguous: ann@example.com, bob@example.com',
      'other_user: ann@example.com',
      'unverified: CERT_HAS_EXPIRED',
      'unverified: UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    ])
  })

  /** The end of the first session of a service. */
  async function sessionOf(service: string) {
    for (let count = 1; ; count++) {
      const end = await site.daemon.waitFor('session.end', count)
      if (end.service === service && end.user !== undefined) return end
    }
  }
})
