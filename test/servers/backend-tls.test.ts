/** TLS between mailmux and real Dovecots: verified, or nothing is said. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { ProbeReport } from '../../src/backend/probe.ts'
import { Peer } from '../support/peer.ts'
import { password, RealSite } from '../support/real-site.ts'
import { plainLogin } from '../support/sieve-round.ts'
import { skipWithout } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'swaks', 'curl', 'openssl')

describe('TLS to the back-ends', { skip }, () => {
  for (const backendTls of ['starttls', 'implicit'] as const) {
    // Of ManageSieve there is STARTTLS alone.
    test(`LMTP, IMAP, POP3 and ManageSieve go through ${backendTls} TLS that tls_ca vouches for`, async () => {
      await using site = await RealSite.start({ backendTls, sieve: true })
      for (const [user, backend] of [
        ['bob', site.fritz],
        ['ann', site.ingrid],
      ] as const) {
        const sent = await site.swaks(`${user}@example.com`, '--header', 'Subject: sealed')
        assert.equal(sent.code, 0, sent.stdout)
        assert.deepEqual(await site.subjects(backend, user), ['sealed'])
        for (const url of [
          `imap://127.0.0.1:${site.port('imap')}/INBOX/;MAILINDEX=1`,
          `pop3://127.0.0.1:${site.port('pop3')}/1`,
        ]) {
          const { code, stdout, stderr } = await site.curl(url, '-u', `${user}:${password}`)
          assert.equal(code, 0, stderr)
          assert.match(stdout, /^Subject: sealed\r$/m)
        }
        using sieve = await Peer.connect(site.port('sieve'))
        sieve.send(`${plainLogin(user, password)}LISTSCRIPTS\r\n`)
        await sieve.expect(/^OK "Logged in\."\r\nOK "Listscripts completed\."\r\n/m)
        const check = await site.daemon.command('backend', 'check', backend.name, '--json')
        assert.equal(check.code, 0, check.stdout)
        const { checks } = JSON.parse(check.stdout) as { checks: ProbeReport[] }
        assert.ok(checks.every(({ certificate }) => certificate?.protocol === 'TLSv1.3'))
        const log = readFileSync(backend.logFile, 'utf8')
        assert.match(log, /imap-login: Info: Login: user=<.*TLS/)
        assert.match(log, /pop3-login: Info: Login: user=<.*TLS/)
        assert.match(log, /managesieve-login: Info: Login: user=<.*TLS/)
        const received = ['fetch', '-u', `${user}@example.com`, 'hdr.received', 'all']
        assert.match(await backend.doveadm(...received), /by \w+\.example\.com with LMTPS/)
      }
    })

    test(`no mail and no password go through ${backendTls} TLS that nobody vouches for`, async () => {
      await using site = await RealSite.start({ backendTls, sieve: true, distrust: true })
      const sent = await site.swaks('bob@example.com')
      assert.equal(sent.code, 24, sent.stdout)
      assert.match(sent.stdout, /<\*\* 451 4\.4\.1 /)
      for (const [service, heard] of [
        ['imap', /NO \[UNAVAILABLE\]/],
        ['pop3', /-ERR \[SYS\/TEMP\]/],
      ] as const) {
        const url = `${service}://127.0.0.1:${site.port(service)}/`
        const { code, stderr } = await site.curl('--verbose', url, '-u', `bob:${password}`)
        assert.notEqual(code, 0)
        assert.match(stderr, heard)
      }
      using sieve = await Peer.connect(site.port('sieve'))
      sieve.send(plainLogin('bob', password))
      await sieve.expect(/^NO \(TRYLATER\)/m)
      await site.daemon.waitFor('backend')
      const steps = site.daemon.eventsOf('backend').map(({ step, reason }) => `${step} ${reason}`)
      assert.deepEqual([...new Set(steps)], ['tls cert'])
      assert.deepEqual(await site.subjects(site.fritz, 'bob'), [])
      assert.doesNotMatch(
        readFileSync(site.fritz.logFile, 'utf8'),
        /user=<[^>]+>|auth failed|Login:/,
      )
    })
  }
})
