/** What becomes of the sessions of a user who moves, and of what was under way in them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { whoIsThere } from '../../src/control/who.ts'
import { password } from '../support/mailbox-pair.ts'
import { ask, deliver } from '../support/message.ts'
import { MovingSite } from '../support/moving-site.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { RawImap } from '../support/raw-imap.ts'
import { greeted, saslWords } from '../support/sasl-login.ts'
import { skipWithout } from '../support/tools.ts'

const user = 'ann@example.com'
const largeBytes = 300_000
const date = '17-Jul-1996 02:44:25 -0700'
const compression = ['protocol imap {', '  mail_plugins = $mail_plugins imap_zlib', '}']
const flush = { finishFlush: constants.Z_SYNC_FLUSH }
const goodbye = /^\* BYE \[UNAVAILABLE\] [^\r]*\r\n$/

function mail(text: string, bytes = 0) {
  const body = `Subject: ${text}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}`
  return { flags: [], date, body: Buffer.from(body) }
}

/** Dovecot: a folder that another session sees as it is made is completed by that one. */
function butHalfMade(error: unknown): void {
  if (!/^CREATE .*ALREADYEXISTS/.test((error as Error).message)) throw error
}

/** A relay that takes whatever it is told to. */
async function playSmarthost(peer: Peer): Promise<void> {
  peer.send('220 out.example.com ESMTP\r\n')
  for (;;) {
    const line = await peer.line()
    if (line.startsWith('EHLO ')) peer.send('250-out.example.com\r\n250 XCLIENT ADDR LOGIN\r\n')
    else if (line.startsWith('XCLIENT ')) peer.send('220 out.example.com ESMTP\r\n')
    else if (line === 'DATA') {
      peer.send('354 go\r\n')
      await peer.expect(/^[^]*?\r\n\.\r\n/)
      peer.send('250 2.0.0 out has it\r\n')
    } else peer.send('250 2.1.0 fine\r\n')
  }
}

describe('a user who moves', { skip: skipWithout('dovecot') }, () => {
  let out: ScriptedBackend
  let site: MovingSite

  before(async () => {
    out = await ScriptedBackend.start(playSmarthost)
    site = await MovingSite.start({
      users: ['ann', 'bob'],
      source: compression,
      target: compression,
      hasPop3: true,
      smarthostPort: out.port,
      serves: true,
    })
  })
  after(async () => {
    await site[Symbol.asyncDispose]()
    await out[Symbol.asyncDispose]()
  })

  const portOf = (service: 'smtp' | 'imap' | 'pop3' | 'submission') =>
    site.daemon?.port(service) ?? 0

  async function logIn(service: 'imap' | 'pop3' | 'submission'): Promise<Peer> {
    const client = await greeted(await Peer.connect(portOf(service)), service)
    const word = service === 'imap' ? `"${password}"` : password
    return client.send(saslWords[service].plain(user, word))
  }

  /** The clients, each in the middle of something. */
  async function clientsOf(stack: DisposableStack) {
    const imap = async (...commands: readonly string[]): Promise<Peer> => {
      const client = stack.use(await logIn('imap'))
      await client.expect(saslWords.imap.accepted)
      client.send(['s SELECT INBOX', ...commands].join('\r\n').concat('\r\n'))
      await client.expect(/^s OK .*\r\n/m)
      return client
    }
    const quiet = await imap()
    const idle = await imap('i IDLE')
    await idle.expect(/^\+ .*\r\n/m)
    const reading = await imap(
      ...Array.from({ length: 100 }, (_, at) => `f${at} FETCH 2 BODY.PEEK[]`),
    )
    await reading.expect(/\{\d+\}\r\n/)
    reading.socket.pause()
    const storing = await imap('a APPEND INBOX {1000}')
    await storing.expect(/^\+ .*\r\n/m)
    storing.send('Subject: half\r\n\r\nhalf')
    const packed = await imap('c COMPRESS DEFLATE')
    await packed.expect(/^c OK .*\r\n/m)
    packed.send(deflateRawSync('n NOOP\r\n', flush))
    const [answer] = await packed.expect(/^[^]*ÿÿ$/)
    assert.match(String(inflateRawSync(Buffer.from(answer, 'latin1'), flush)), /^n OK .*\r\n$/)
    const popping = stack.use(await logIn('pop3'))
    await popping.expect(saslWords.pop3.accepted)
    await popping.send('DELE 1\r\n').expect(/^\+OK.*\r\n/)
    const sending = stack.use(await logIn('submission'))
    await sending.expect(saslWords.submission.accepted)
    return { quiet, idle, reading, storing, packed, popping, sending }
  }

  /** Returns when so many logins are held. */
  async function held(count: number): Promise<void> {
    const isHeld = async (): Promise<boolean> => {
      const { sessions } = await whoIsThere(site.dir.join('run'), { user })
      return sessions.filter(({ state }) => state === 'held').length === count
    }
    while (!(await isHeld())) await turn()
  }

  test('sends on, is told of the end of sessions where that can be understood, and loses nothing', async () => {
    using source = await site.pair.login('source', 'ann')
    await source.append('INBOX', [mail('1'), mail('2', largeBytes), mail('3')])
    await source.command('CREATE Sent')
    using stack = new DisposableStack()
    const clients = await clientsOf(stack)
    const late: Peer[] = []
    await site.moveHeldUp('ann', 'ingrid', async () => {
      using relay = await greeted(await Peer.connect(portOf('smtp')), 'submission')
      const replies = await ask(relay, 'MAIL FROM:<bob@example.net>', `RCPT TO:<${user}>`)
      assert.match(replies.join(), /^250 .*,450 4\.2\.1 /)
      const { sending } = clients
      const sent = await deliver(sending, `MAIL FROM:<${user}>`, 'RCPT TO:<x@example.net>')
      assert.match(sent, /^250 2\.0\.0 out has it/)
      for (const service of ['imap', 'pop3', 'submission'] as const) {
        late.push(stack.use(await logIn(service)))
      }
      late[0]?.send('k APPEND Sent {17+}\r\nSubject: sent\r\n\r\n\r\n')
      await held(3)
      assert.deepEqual(
        late.map(({ unread }) => unread.replace('+OK\r\n', '')),
        ['', '', ''],
      )
    })
    const { quiet, idle, reading, storing, packed, popping } = clients
    for (const client of [quiet, idle, storing]) assert.match(await client.end(), goodbye)
    assert.equal(await packed.end(), '')
    assert.match(await popping.end(), /^-ERR \[SYS\/TEMP\] [^\r]*\r\n$/)
    reading.socket.resume()
    assert.match(await reading.end(), /x(?:\r\n?)?$/)
    for (const [at, service] of (['imap', 'pop3', 'submission'] as const).entries()) {
      await late[at]?.expect(saslWords[service].accepted)
    }
    await late[0]?.expect(/^k OK .*\r\n/)
    await checkHomes(source)
  })

  /** What was complete is at the new home, and nothing else; at the old one is what was there. */
  async function checkHomes(source: RawImap): Promise<void> {
    using target = await site.pair.login('target', 'ann')
    const { Sent: saved, ...others } = await target.everything()
    assert.equal(saved?.length, 1)
    const { Sent: before, ...kept } = await source.everything()
    assert.deepEqual([before, kept['INBOX']?.length], [[], 3])
    assert.deepEqual(others, kept)
  }

  test('has the folders that were made, renamed and deleted during the copy, and no others', async () => {
    const { move } = site.config
    site.config = { ...site.config, move: { ...move, freezeTargetMs: 0 } }
    using session = await RawImap.login(portOf('imap'), 'bob@example.com', password)
    for (const folder of ['work', 'work/letters', 'one', 'two', 'three', 'four']) {
      await session.command(`CREATE ${folder}`)
      await session.append(folder, [mail(`${folder} 1`), mail(`${folder} 2`)])
    }
    // No name comes again: Dovecot leaves a folder behind that somebody reads as it is renamed.
    const changes = [
      ['RENAME work post', 'CREATE new', 'DELETE one'],
      ['RENAME post/letters letters', 'RENAME new newer', 'SUBSCRIBE letters', 'DELETE two'],
      ['RENAME newer newest', 'CREATE late', 'RENAME three third', 'DELETE four'],
    ]
    const working: Promise<void>[] = []
    let count = 0
    const step = (at: { readonly step: string }): void => {
      const commands = changes[count]
      if (at.step !== 'copying' || commands === undefined) return
      const number = ++count
      const work = async (): Promise<void> => {
        for (const command of commands) await session.command(command).catch(butHalfMade)
        for (const folder of ['post', 'INBOX']) await session.append(folder, [mail(`${number}`)])
      }
      working.push(site.standingStill('ingrid', work))
    }
    const moved = await site.move('bob', 'ingrid', { step })
    await Promise.all(working)
    assert.equal(moved.result, 'moved', JSON.stringify(moved.record?.details.error))
    assert.equal(working.length, changes.length)
    using source = await site.pair.login('source', 'bob')
    using target = await site.pair.login('target', 'bob')
    assert.deepEqual(await target.everything(), await source.everything())
    const folders = await target.folders()
    for (const name of ['post', 'letters', 'newest', 'late', 'third']) {
      assert.ok(folders.includes(name), name)
    }
    assert.deepEqual((await target.subscribed()).sort(), (await source.subscribed()).sort())
  })
})
