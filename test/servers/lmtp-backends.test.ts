/**
 * Dovecot and Cyrus as they are spoken to by LMTP, each with a mailbox that has no room, and the mail
 * that comes to them: from a client that hears each verdict, from Postfix, signed by DKIM. Besides,
 * Cyrus as it is spoken to by ManageSieve.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { simpleParser } from 'mailparser'
import { dkimSign } from 'mailauth/lib/dkim/sign.js'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { Dovecot } from '../../src/demo/dovecot.ts'
import { Cyrus, skipWithoutCyrus } from '../support/cyrus.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { ask, reply } from '../support/message.ts'
import { newestMessage } from '../support/newest-message.ts'
import { Peer } from '../support/peer.ts'
import { Postfix, skipWithoutPostfix } from '../support/postfix.ts'
import { bigScript, sieveRound } from '../support/sieve-round.ts'
import { tempDir } from '../support/temp-dir.ts'
import { runTool, skipWithout } from '../support/tools.ts'

const skip = skipWithout('dovecot') || skipWithoutCyrus()
const skipPostfix = skipWithoutPostfix() || skipWithout('swaks')
const domain = 'example.com'
/** Does not fit into a mailbox that has a limit here. */
const bulk = `${'x'.repeat(70)}\r\n`.repeat(300)

describe('the relay before Dovecot and Cyrus, both by LMTP', { skip }, () => {
  const dir = tempDir()
  const home = tempDir()
  const started: AsyncDisposable[] = []
  let fritz: Dovecot
  let klaus: Cyrus
  let daemon: Daemon
  let starting: Promise<Postfix> | undefined

  before(async () => {
    chmodSync(dir.path, 0o755)
    const dovecot = Dovecot.start({
      name: 'fritz',
      folder: dir.join('fritz'),
      users: ['dora', 'don', 'dick', 'dave'].map((user) => ({
        address: `${user}@${domain}`,
        password: 'x',
        ...(user === 'dick' ? { quotaKib: 10 } : {}),
      })),
    })
    // One with a limit for each test, since two tests lift it.
    klaus = await Cyrus.start(dir, 'klaus', ['klara', 'kim', 'karl', 'kurt'])
    started.push(klaus)
    await klaus.admin(
      ...['kim', 'karl', 'kurt'].map((user) => `SETQUOTA user/${user} (STORAGE 10)`),
    )
    fritz = await dovecot
    started.push(fritz)
    const config = `hostname: mx.example.com
domains: [${domain}]
backends:
  fritz: {host: 127.0.0.1, lmtp: ${fritz.ports.lmtp}}
  klaus: {host: 127.0.0.1, lmtp: ${klaus.lmtp}, sieve: ${klaus.sieve}}
map: {rules: rules, popmap: popmap}
listen: {smtp: ["127.0.0.1:0"], lmtp: ["127.0.0.1:0"], sieve: ["127.0.0.1:0"]}
workers: 1
`
    writeFileSync(dir.join('rules'), 'a-j fritz\nk-z klaus\n')
    writeFileSync(dir.join('popmap'), `kim@${domain}:kim@klaus\n`)
    await buildMapOf(dir, config)
    daemon = await startDaemon({ dir, config })
    started.push(daemon)
    // It takes its time; the first tests do without.
    if (skipPostfix === false) starting = startPostfix()
    starting?.catch(() => undefined)
    await daemon.waitFor('backend.offers', 3)
  })
  after(async () => {
    const postfix = await starting?.catch(() => undefined)
    if (postfix !== undefined) started.push(postfix)
    await Promise.all(started.map((each) => each[Symbol.asyncDispose]()))
    for (const each of [dir, home]) each[Symbol.dispose]()
  })

  function startPostfix(): Promise<Postfix> {
    const lmtp = `lmtp:inet:127.0.0.1:${daemon.port('lmtp')}`
    return Postfix.start(home, {
      [domain]: `smtp:[127.0.0.1]:${daemon.port('smtp')}`,
      ...Object.fromEntries(['dick', 'dave', 'karl'].map((user) => [`${user}@${domain}`, lmtp])),
    })
  }

  async function greeted(service: 'smtp' | 'lmtp'): Promise<Peer> {
    const client = await Peer.connect(daemon.port(service))
    await reply(client)
    await ask(client, service === 'lmtp' ? 'LHLO client.example.net' : 'EHLO client.example.net')
    return client
  }

  /** Waits until so much has gone out of the spool. */
  async function deliveries(count: number): Promise<void> {
    for (let seen = 1; ; seen++) {
      await daemon.waitFor('delivery', seen)
      const done = daemon.eventsOf('delivery').filter(({ result }) => result === 'delivered')
      if (done.length >= count) return
    }
  }

  test('an LMTP client hears the verdict of each mailbox, in the order of its recipients', async () => {
    using client = await greeted('lmtp')
    const users = ['dick', 'klara', 'dude', 'kurt', 'knut', 'dora']
    const replies = await envelope(client, 'guest@example.net', users)
    assert.deepEqual(
      replies.map((text) => text.slice(0, 9)),
      ['250 2.1.5', '250 2.1.5', '550 5.1.1', '250 2.1.5', '550 5.1.1', '250 2.1.5'],
    )
    client.send(`Subject: to each\r\n\r\n${bulk}.\r\n`)
    assert.match(await reply(client), /^552 5\.2\.2 <dick@example\.com> Quota exceeded/)
    assert.match(await reply(client), /^250 2\.\d\.\d /)
    assert.match(await reply(client), /^452 4\.2\.2 Over quota/)
    assert.match(await reply(client), /^250 2\.\d\.\d /)
    assert.equal((await simpleParser(await klaus.newestOf('klara'))).subject, 'to each')
    assert.equal((await simpleParser(await newestOfDovecot('dora'))).subject, 'to each')
  })

  test('to an SMTP client a full mailbox among others is a report, and one that empties waits', async () => {
    using client = await greeted('smtp')
    await envelope(client, `don@${domain}`, ['dick', 'dora', 'kim'])
    const signed = await sign(nasty)
    client.send(stuffed(signed)).send('.\r\n')
    assert.match(await reply(client), /^250 2\.\d\.\d /)
    // Cut through, as it came in.
    await assertVerifies(await newestOfDovecot('dora'))
    await deliveries(1)
    const { text = '', from } = await simpleParser(await newestOfDovecot('don'))
    assert.equal(from?.value[0]?.address, 'postmaster@example.com')
    assert.match(text, /<dick@example\.com>[\s\S]*5\.2\.2/)
    // Out of the spool.
    await klaus.admin('SETQUOTA user/kim (STORAGE 1000)')
    await daemon.command('queue', 'retry', '--all')
    await deliveries(2)
    await assertVerifies(await klaus.newestOf('kim'))
  })

  test('Postfix sends by SMTP and LMTP, and takes each verdict for what it is', {
    skip: skipPostfix,
  }, async () => {
    const postfix = (await starting) ?? assert.fail()
    const users = ['dora', 'klara', 'dude', 'dick', 'dave', 'karl']
    const to = users.map((user) => `${user}@${domain}`).join()
    const server = ['--server', '127.0.0.1', '--port', `${postfix.port}`, '--from', `don@${domain}`]
    const body = ['--header', 'Subject: by Postfix', '--body', bulk]
    const { code, stdout } = await runTool(home.path, 'swaks', [...server, '--to', to, ...body])
    assert.equal(code, 0, stdout)
    const verdicts = {
      dora: /smtp\[\d+\]: \w+: to=<dora@.*dsn=2\.\d\.\d, status=sent \(250 2/,
      klara: /smtp\[\d+\]: \w+: to=<klara@.*dsn=2\.\d\.\d, status=sent \(250 2/,
      dude: /smtp\[\d+\]: \w+: to=<dude@.*dsn=5\.1\.1, status=bounced .*550 5\.1\.1/,
      dick: /lmtp\[\d+\]: \w+: to=<dick@.*dsn=5\.2\.2, status=bounced .*552 5\.2\.2/,
      dave: /lmtp\[\d+\]: \w+: to=<dave@.*dsn=2\.\d\.\d, status=sent \(250 2/,
      karl: /lmtp\[\d+\]: \w+: to=<karl@.*dsn=4\.2\.2, status=deferred .*452 4\.2\.2/,
    }
    for (const verdict of Object.values(verdicts)) await postfix.logged(verdict)
    await klaus.admin('SETQUOTA user/karl (STORAGE 1000)')
    await postfix.flush()
    await postfix.logged(/lmtp\[\d+\]: \w+: to=<karl@.*status=sent \(250 2/)
    assert.equal((await simpleParser(await klaus.newestOf('karl'))).subject, 'by Postfix')
  })

  test('scripts at Cyrus are managed through the proxy as directly', async () => {
    const direct = await sieveRound(klaus.sieve, { user: 'kim', password: 'x' })
    assert.ok(direct.includes(bigScript))
    const port = daemon.port('sieve')
    assert.equal(await sieveRound(port, { user: `kim@${domain}`, password: 'x' }), direct)
    using client = await Peer.connect(port)
    const [told] = await client.expect(/^"SIEVE" "(.*)"\r\n/m)
    assert.ok(direct.includes(told))
  })

  function newestOfDovecot(user: string): Promise<Buffer> {
    return newestMessage(fritz.ports.imap, `${user}@${domain}`)
  }
})

/** The replies to the recipients. */
async function envelope(client: Peer, from: string, users: readonly string[]) {
  await ask(client, `MAIL FROM:<${from}> BODY=8BITMIME`)
  const replies = await ask(client, ...users.map((user) => `RCPT TO:<${user}@${domain}>`))
  await ask(client, 'DATA')
  return replies
}

const keys = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'der' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})
const record = `v=DKIM1; k=rsa; p=${keys.publicKey.toString('base64')}`

/** What a relay could spoil: dots, octets above ASCII, a long line, white space, empty lines. */
const nasty = Buffer.from(
  [
    'From: Don <don@example.com>',
    'To: dora@example.com,',
    '\tkim@example.com',
    'Subject:  two  spaces',
    'Date: Wed, 25 Nov 2026 10:00:00 +0000',
    'Message-ID: <nasty@example.com>',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    '.',
    '..a dot and Grüße aus Köln, \u{1F4EE}',
    'ü'.repeat(499),
    'long '.repeat(2000),
    bulk.trimEnd(),
    'spaces at the end  \t ',
    '',
    '',
    '',
  ].join('\r\n'),
)

/** One signature that bears no change at all, and one that bears some white space. */
async function sign(message: Buffer): Promise<Buffer> {
  const common = { signingDomain: domain, selector: 'test', privateKey: keys.privateKey }
  const signatureData = ['simple/simple', 'relaxed/relaxed'].map((canonicalization) => ({
    ...common,
    canonicalization,
  }))
  const { signatures, errors } = await dkimSign(message, { ...common, signatureData })
  assert.deepEqual(errors, [])
  return Buffer.concat([Buffer.from(signatures), message])
}

async function assertVerifies(message: Buffer): Promise<void> {
  const { results } = await dkimVerify(message, { resolver: async () => [[record]] })
  const verdicts = results.map(({ status }) => status.result)
  assert.deepEqual(verdicts, ['pass', 'pass'], JSON.stringify(results.map(({ info }) => info)))
}

function stuffed(message: Buffer): Buffer {
  return Buffer.from(message.toString('latin1').replaceAll(/^\./gm, '..'), 'latin1')
}
