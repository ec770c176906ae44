/** A back-end that goes and comes back, and a map that changes, while clients are there. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { password, RealSite } from '../support/real-site.ts'
import { skipWithout } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'swaks', 'curl', 'openssl')

describe('while mailmux runs', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start()
  })
  after(() => site[Symbol.asyncDispose]())

  function login(service: 'imap' | 'pop3', user: string) {
    const url = `${service}://127.0.0.1:${site.port(service)}/`
    return site.curl('--verbose', url, '-u', `${user}:${password}`)
  }

  test('a stopped back-end means "try again", the other one goes on, and all is well after', async () => {
    assert.equal((await site.swaks('hans@example.com')).code, 0, 'a connection is left in the pool')
    await site.fritz.stop()

    const refused = await site.swaks('hans@example.com')
    assert.equal(refused.code, 24, refused.stdout)
    assert.match(refused.stdout, /<\*\* 451 4\.4\.1 /)
    assert.match((await login('imap', 'hans')).stderr, /^< \w+ NO \[UNAVAILABLE\] /m)
    assert.match((await login('pop3', 'hans')).stderr, /^< -ERR \[SYS\/TEMP\] /m)
    assert.equal((await site.swaks('sven@example.com')).code, 0)
    assert.equal((await login('imap', 'sven')).code, 0)
    assert.equal((await login('pop3', 'sven')).code, 0)

    await site.fritz.start()
    const sent = await site.swaks('hans@example.com')
    assert.equal(sent.code, 0, sent.stdout)
    assert.equal((await login('imap', 'hans')).code, 0)
    assert.equal((await login('pop3', 'hans')).code, 0)
    assert.equal((await site.subjects(site.fritz, 'hans')).length, 2)
  })

  test('an idling session lives through SIGHUP, and the next login goes by the new map', async () => {
    const imap = await site.imap('rosa')
    await imap.mailboxOpen('INBOX')
    const idling = imap.idle()
    // rosa has no mailbox on fritz: her login must fail there, and succeeds where she was.
    appendFileSync(site.dir.join('user_map'), 'rosa@example.com fritz\nzoe@example.com ingrid\n')
    const built = await site.daemon.command('build-map')
    assert.equal(built.code, 0, built.stderr)
    const published = Number(/generation (\d+)/.exec(built.stdout + built.stderr)?.[1])
    const before = site.daemon.eventsOf('reload.done').length
    site.daemon.signal('SIGHUP')
    const { generation } = await site.daemon.waitFor('reload.done', before + 1)
    assert.equal(generation, published)

    assert.equal((await login('imap', 'rosa')).code, 67, 'curl: login denied')
    const told = once(imap, 'exists')
    const { ports } = site.ingrid
    const server = ['--server', '127.0.0.1', '--port', String(ports.lmtp), '--protocol', 'LMTP']
    const sent = await site.tool('swaks', ...server, '--to', 'rosa@example.com', '--from', 'a@b.c')
    assert.equal(sent.code, 0, sent.stdout)
    await told
    await imap.noop()
    await idling
    await imap.logout()
  })

  test('a map with an error is refused, and the daemon goes on with the old one', async () => {
    const rules = site.dir.join('rules')
    const good = readFileSync(rules)
    // Tests run in any order: the next one finds the sources whole.
    using _restored = { [Symbol.dispose]: () => writeFileSync(rules, good) }
    appendFileSync(rules, 'q heinrich\n')
    const built = await site.daemon.command('build-map')
    assert.equal(built.code, 78)
    assert.match(built.stderr, /rules:3:\d+: error: .*heinrich/)
    assert.equal((await site.daemon.command('reload')).code, 0)
    assert.equal((await login('imap', 'sven')).code, 0)
  })
})
