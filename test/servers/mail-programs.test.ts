/** More mail programs that others wrote: their whole round through a proxy, and directly. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { after, before, describe, test } from 'node:test'
import type { Dovecot } from '../../src/demo/dovecot.ts'
import { password, RealSite } from '../support/real-site.ts'
import { debianPython, skipWithout, skipWithoutModule } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'openssl', 'swaks', 'python3', 'offlineimap')
const round = fileURLToPath(new URL('programs/round.py', import.meta.url))
const sieveRound = fileURLToPath(new URL('programs/sieve_round.py', import.meta.url))

describe('mail programs that do a whole round', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start({ sieve: true })
    for (const user of ['zoe', 'tina']) await seed(site.ingrid, user)
  })
  after(() => site[Symbol.asyncDispose]())

  /** Puts messages into a mailbox without mailmux. */
  async function seed(backend: Dovecot, user: string): Promise<void> {
    for (const subject of [`first of ${user}`, `second of ${user}`]) {
      const server = ['--server', '127.0.0.1', '--port', String(backend.ports.lmtp)]
      const options = ['--protocol', 'LMTP', '--header', `Subject: ${subject}`]
      const to = ['--from', 'a@example.net', '--to', `${user}@example.com`]
      const { code, stdout } = await site.tool('swaks', ...server, ...options, ...to)
      assert.equal(code, 0, stdout)
    }
  }

  for (const protocol of ['imap', 'pop3'] as const) {
    test(`Python hears the same octets of ${protocol} as from the back-end itself`, async () => {
      const heard = async (port: number, user: string): Promise<string> => {
        const login = [String(port), user, password]
        const { code, stdout, stderr } = await site.tool('python3', round, protocol, ...login)
        assert.equal(code, 0, stderr)
        return stdout
      }
      // The first one finds messages that are new, and makes a keyword.
      await heard(site.ingrid.ports[protocol], 'zoe@example.com')
      const direct = await heard(site.ingrid.ports[protocol], 'zoe@example.com')
      assert.match(direct, /^Subject: second of zoe\r?$/m)
      assert.equal(await heard(site.port(protocol), 'zoe'), direct)
    })
  }

  test('sievelib hears the same octets of ManageSieve as from the back-end itself', {
    skip: skipWithoutModule('sievelib'),
  }, async () => {
    const heard = async (port: number): Promise<string> => {
      const login = [String(port), 'zoe@example.com', password]
      const { code, stdout, stderr } = await site.tool(debianPython, sieveRound, ...login)
      assert.equal(code, 0, stderr)
      return stdout
    }
    const direct = await heard(site.ingrid.ports.sieve)
    assert.match(direct, /^fileinto "a folder";\r$/m)
    assert.equal(await heard(site.port('sieve')), direct)
  })

  test('OfflineIMAP brings a mailbox down, and a flag up', async () => {
    const folder = site.dir.join('offline')
    const file = site.dir.join('offlineimaprc')
    mkdirSync(folder)
    writeFileSync(
      file,
      `[general]
accounts = site
metadata = ${folder}/metadata
ui = quiet
[Account site]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = ${folder}/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = ${site.port('imap', 1)}
remoteuser = tina@example.com
remotepass = ${password}
ssl = yes
sslcacertfile = ${site.caFile}
`,
    )
    const sync = async (): Promise<void> => {
      const { code, stdout, stderr } = await site.tool('offlineimap', '-o', '-c', file)
      assert.equal(code, 0, stdout + stderr)
    }
    await sync()
    const box = join(folder, 'mail', 'INBOX')
    const names = readdirSync(join(box, 'new'))
    const texts = names.map((name) => readFileSync(join(box, 'new', name), 'utf8'))
    for (const subject of ['first of tina', 'second of tina']) {
      assert.equal(texts.filter((text) => text.includes(`Subject: ${subject}`)).length, 1)
    }
    const read = names[texts.findIndex((text) => text.includes('first of tina'))] ?? ''
    renameSync(join(box, 'new', read), join(box, 'cur', `${read.replace(/:.*/, '')}:2,FS`))
    await sync()
    const query = ['fetch', '-u', 'tina@example.com', 'hdr.subject', 'mailbox', 'INBOX', 'FLAGGED']
    assert.match(await site.ingrid.doveadm(...query), /hdr\.subject: first of tina/)
  })
})
