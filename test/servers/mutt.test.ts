/** Mutt, sending through the submission proxy. Its round of IMAP is in imap-rounds.test.ts. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { prepareMutt } from '../support/mutt.ts'
import { password, RealSite } from '../support/real-site.ts'
import { skipWithout } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'openssl', 'mutt')

describe('mutt', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start({ submission: true, backendTls: 'starttls' })
  })
  after(() => site[Symbol.asyncDispose]())

  test('it sends by submission, and keeps a copy by IMAP', async () => {
    const url = `imaps://localhost:${site.port('imap', 1)}`
    const home = site.dir.join('sending')
    mkdirSync(home)
    const lines = [
      `set smtp_url="smtp://zoe@example.com@localhost:${site.port('submission')}"`,
      `set smtp_pass="${password}" ssl_starttls=yes copy=yes record="=Sent"`,
    ]
    const account = { url, login: 'zoe@example.com', password, caFile: site.caFile }
    prepareMutt(home, account, lines)
    writeFileSync(join(home, 'letter'), '.a dot, and\n.\nmore\n')
    const send = `cd ${home} && exec mutt -F muttrc -s "by mutt" -- bob@example.com < letter`
    const { code, stderr } = await site.tool('sh', '-c', send)
    assert.equal(code, 0, stderr)
    const text = ['fetch', '-u', 'bob@example.com', 'text', 'mailbox', 'INBOX']
    const arrived = await site.fritz.doveadm(...text, 'SUBJECT', 'by mutt')
    assert.match(arrived, /^\.a dot, and\r?\n\.\r?\nmore\r?$/m)
    const kept = ['fetch', '-u', 'zoe@example.com', 'hdr.subject', 'mailbox', 'Sent']
    assert.match(await site.ingrid.doveadm(...kept), /^hdr\.subject: by mutt$/m)
  })
})
