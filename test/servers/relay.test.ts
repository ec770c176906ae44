/** Mail from real clients through the relay into real Dovecots. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { sendMessage } from '../../src/demo/send-message.ts'
import { RealSite } from '../support/real-site.ts'
import { skipWithout, type ToolResult } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'swaks', 'curl', 'openssl')

describe('the relay before two Dovecots', { skip }, () => {
  let site: RealSite
  before(async () => {
    site = await RealSite.start()
  })
  after(() => site[Symbol.asyncDispose]())

  test('a message reaches the back-end that the user_map names', async () => {
    const { code, stdout } = await site.swaks('ann@example.com', '--header', 'Subject: by line')
    assert.equal(code, 0, stdout)
    assert.deepEqual(await site.subjects(site.ingrid, 'ann'), ['by line'])
  })

  test('a message reaches the back-end that a rule names', async () => {
    const { code, stdout } = await site.swaks('hans@example.com', '--header', 'Subject: by rule')
    assert.equal(code, 0, stdout)
    assert.deepEqual(await site.subjects(site.fritz, 'hans'), ['by rule'])
  })

  test('the sender hears the back-end itself when it has no such user', async () => {
    const { code, stdout } = await site.swaks('walter@example.com')
    assert.equal(code, 24, 'swaks: RCPT was refused')
    assert.match(stdout, /<\*\* 550 5\.1\.1 <walter@example\.com> User doesn't exist/)
  })

  test('a foreign recipient is refused, however it is written', async () => {
    for (const to of [
      'eve@example.org',
      'eve%example.org@example.net',
      '@mx.example.com:eve@x.org',
    ]) {
      const { code, stdout } = await site.swaks(to)
      assert.equal(code, 24, stdout)
      assert.match(stdout, /<\*\* 5\d\d 5\.(?:7\.1|1\.3) /, to)
    }
  })

  test('an alias of one back-end reaches all of its mailboxes with one message', async () => {
    const { code, stdout } = await site.swaks('team@example.com', '--header', 'Subject: to team')
    assert.equal(code, 0, stdout)
    assert.deepEqual(await site.subjects(site.fritz, 'bob'), ['to team'])
    assert.deepEqual(await site.subjects(site.fritz, 'carl'), ['to team'])
  })

  test('the detail of an address is kept on its way to the back-end', async () => {
    const { code, stdout } = await site.swaks('Zoe+Lists@Example.COM')
    assert.equal(code, 0, stdout)
    const words = ['fetch', '-u', 'zoe@example.com', 'hdr.delivered-to', 'mailbox', 'INBOX']
    assert.match(await site.ingrid.doveadm(...words), /zoe\+lists@example\.com/i)
  })

  test('STARTTLS is spoken with a client that verifies the certificate', async () => {
    const tls = ['--tls', '--tls-verify', '--tls-ca-path', site.caFile]
    const { code, stdout } = await site.swaks('rosa@example.com', ...tls)
    assert.equal(code, 0, stdout)
    assert.match(stdout, /=== TLS started/)
    const received = ['fetch', '-u', 'rosa@example.com', 'hdr.received', 'mailbox', 'INBOX']
    assert.match(await site.ingrid.doveadm(...received), /by mx\.example\.com .*ESMTPS/s)
  })

  test('a message that curl sends arrives with its first dots', async () => {
    const message = 'Subject: dots\r\n\r\n.\r\n..\r\n.end\r\n'
    const { code, stderr } = await curlMessage(site, 'fred@example.com', message)
    assert.equal(code, 0, stderr)
    const text = await site.fritz.doveadm('fetch', '-u', 'fred@example.com', 'body', 'all')
    assert.equal(text.replaceAll('\r', '').replaceAll('\f', ''), 'body:\n.\n..\n.end\n')
  })

  test('ten megabytes come out of the mailbox as they went in', async () => {
    const lines = randomBytes(7_500_000).toString('base64').replaceAll(/.{76}/g, '$&\r\n')
    const body = `${lines}\r\n`
    const { code, stderr } = await curlMessage(
      site,
      'otto@example.com',
      `Subject: large\r\n\r\n${body}`,
    )
    assert.equal(code, 0, stderr)
    await using client = await closing(site.imap('otto'))
    await client.imap.mailboxOpen('INBOX')
    const { content } = await client.imap.download('1', 'TEXT')
    const hash = createHash('sha256')
    assert(content !== undefined)
    for await (const chunk of content) hash.update(chunk as Buffer)
    assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'))
  })

  test('a hundred messages at once all arrive, each once', async () => {
    const users = ['emil', 'gina', 'paul', 'sven']
    const numbers = Array.from({ length: 100 }, (_, number) => number)
    const replies = await Promise.all(
      numbers.map((number) => {
        const to = `${users[number % 4]}@example.com`
        const message = { from: 'guest@example.net', to, subject: `no ${number}`, body: 'x' }
        return sendMessage(site.port('smtp'), message)
      }),
    )
    assert.deepEqual(
      replies.filter((reply) => !reply.startsWith('250 ')),
      [],
    )
    const found = await Promise.all(
      users.map((user, index) => site.subjects(index < 2 ? site.fritz : site.ingrid, user)),
    )
    assert.deepEqual(found.flat().sort(), numbers.map((number) => `no ${number}`).sort())
  })

  test('recipients on two back-ends get the message in one transaction, each once', async () => {
    const { code, stdout } = await site.swaks('ida@example.com,tina@example.com')
    assert.equal(code, 0, stdout)
    assert.equal((await site.subjects(site.fritz, 'ida')).length, 1)
    assert.equal((await site.subjects(site.ingrid, 'tina')).length, 1)
  })

  test('an alias that spans two back-ends reaches every member once', async () => {
    const { code, stdout } = await site.swaks('everybody@example.com')
    assert.equal(code, 0, stdout)
    assert.equal((await site.subjects(site.fritz, 'karl')).length, 1)
    assert.equal((await site.subjects(site.ingrid, 'ute')).length, 1)
  })
})

function curlMessage(site: RealSite, to: string, message: string): Promise<ToolResult> {
  const file = site.dir.join('message.eml')
  writeFileSync(file, message)
  const url = `smtp://127.0.0.1:${site.port('smtp')}/laptop.example.net`
  const envelope = ['--mail-from', 'guest@example.net', '--mail-rcpt', to]
  return site.curl(url, ...envelope, '--upload-file', file)
}

async function closing(
  opening: ReturnType<RealSite['imap']>,
): Promise<AsyncDisposable & { imap: Awaited<typeof opening> }> {
  const imap = await opening
  return { imap, [Symbol.asyncDispose]: () => imap.logout() }
}
