/**
 * `mailmux user move` between Dovecot and Cyrus behind a running daemon, both ways and back again,
 * while mail arrives and is read.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { describeMoved } from '../../src/migrate/move-report.ts'
import { runCommand } from '../support/command.ts'
import { skipWithoutCyrus } from '../support/cyrus.ts'
import { delivered, Ledger, mailboxOf } from '../support/mail-traffic.ts'
import { password } from '../support/mailbox-pair.ts'
import { MovingSite } from '../support/moving-site.ts'
import { Peer } from '../support/peer.ts'
import { RawImap } from '../support/raw-imap.ts'
import { sieveOf } from '../support/sieve-round.ts'
import { skipWithout } from '../support/tools.ts'

const mail = (text: string) => ({
  flags: ['\\Seen', 'important'],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`From: a@example.net\r\nSubject: ${text}\r\n\r\n${text}\r\n`),
})

type Home = 'fritz' | 'klaus'

/** Where each of them begins, and where it goes. */
const ways = [
  { user: 'ann', from: 'fritz', to: 'klaus' },
  { user: 'bob', from: 'klaus', to: 'fritz' },
] as const

describe('a user who moves', { skip: skipWithout('dovecot') || skipWithoutCyrus() }, () => {
  let site: MovingSite

  before(async () => {
    site = await MovingSite.start({
      users: ['ann', 'bob', 'carl', 'dora', 'emil'],
      homes: { bob: 'klaus', dora: 'klaus' },
      hasSieve: true,
      hasPop3: true,
      serves: true,
    })
  })
  after(() => site[Symbol.asyncDispose]())

  const imapOf = (home: Home): number =>
    (home === 'fritz' ? site.pair.source.ports.imap : site.klaus?.imap) ?? 0
  const port = (service: 'imap' | 'pop3' | 'sieve'): number => site.daemon?.port(service) ?? 0

  async function moved(user: string, to: Home): Promise<number> {
    const notes: string[] = []
    const report = await site.move(user, to, { note: (text) => void notes.push(text) })
    assert.equal(report.result, 'moved', JSON.stringify(report.record?.details.error))
    assert.deepEqual(notes, [])
    return report.record?.details.copied ?? 0
  }

  for (const { user, from, to } of ways) {
    test(`from ${from} to ${to}, and back, has every message once, whatever comes and goes`, async () => {
      const ledger = new Ledger()
      using idler = await Peer.connect(port('imap'))
      await idler.expect(/^\* OK .*\r\n/)
      idler.send(`a LOGIN ${user}@example.com "${password}"\r\nb SELECT INBOX\r\n`)
      await idler.expect(/^b OK .*\r\n/m)
      idler.send('c IDLE\r\n')
      await idler.expect(/^\+ .*\r\n/m)
      await site.whileUsed(user, ledger, async () => {
        await delivered(ledger, 60)
        await moved(user, to)
        await delivered(ledger, ledger.delivered.size + 20)
      })
      await idler.expect(/\* BYE \[UNAVAILABLE\]/)
      ledger.check(await mailboxOf(imapOf(to), user))
      assert.ok(ledger.deferred + ledger.reconnected > 0)

      await site.whileUsed(user, ledger, async () => {
        // What was there already is not copied again.
        assert.ok((await moved(user, from)) < ledger.delivered.size)
        await delivered(ledger, ledger.delivered.size + 10)
      })
      ledger.check(await mailboxOf(imapOf(from), user))
      const built = await runCommand(['build-map', '--check', '--config', site.configFile])
      assert.equal(built.code, 0, built.stderr)
    })
  }

  async function scriptsOf(user: string): Promise<string> {
    using peer = await sieveOf(port('sieve'), `${user}@example.com`, password)
    peer.send('LISTSCRIPTS\r\nGETSCRIPT "mine"\r\nLOGOUT\r\n')
    return (await peer.end()).replace(/^OK.*\r\n/gm, '')
  }

  async function uidlsOf(user: string): Promise<string[]> {
    using peer = await Peer.connect(port('pop3'))
    await peer.expect(/^\+OK.*\r\n/)
    peer.send(`USER ${user}@example.com\r\nPASS ${password}\r\n`)
    await peer.expect(/^\+OK.*\r\n\+OK.*\r\n/)
    peer.send('UIDL\r\n')
    await peer.expect(/^\+OK.*\r\n/)
    return [...(await peer.message()).matchAll(/^\d+ (\S+)\r$/gm)].map(([, uidl = '']) => uidl)
  }

  for (const { user, from, to } of [
    { user: 'carl', from: 'fritz', to: 'klaus' },
    { user: 'dora', from: 'klaus', to: 'fritz' },
  ] as const) {
    test(`from ${from} to ${to}, and back, has folders, scripts and UIDLs as they were`, async () => {
      const messages = ['one', 'two', 'three'].map(mail)
      using source = await RawImap.login(imapOf(from), `${user}@example.com`, password)
      await source.append('INBOX', messages)
      await source.command('CREATE "Entw&APw-rfe"')
      await source.command('CREATE "Entw&APw-rfe/alt"')
      await source.append('Entw&APw-rfe/alt', messages.slice(1))
      {
        using scripts = await sieveOf(port('sieve'), `${user}@example.com`, password)
        scripts.send('PUTSCRIPT "mine" {7+}\r\nkeep;\r\n\r\nPUTSCRIPT "other" {6+}\r\nstop;\n\r\n')
        scripts.send('SETACTIVE "mine"\r\n')
        await scripts.expect(/^OK.*\r\nOK.*\r\nOK.*\r\n/)
      }
      const before = { mail: await source.everything(), scripts: await scriptsOf(user) }
      assert.match(before.scripts, /"mine" ACTIVE\r\n/)
      const uidls = await uidlsOf(user)
      assert.equal(uidls.length, 3)
      for (const home of [to, from]) {
        await moved(user, home)
        using there = await RawImap.login(imapOf(home), `${user}@example.com`, password)
        assert.deepEqual(await there.everything(), before.mail)
        assert.deepEqual(
          (await scriptsOf(user)).split('\r\n').sort(),
          before.scripts.split('\r\n').sort(),
        )
        assert.deepEqual(await uidlsOf(user), uidls)
      }
    })
  }

  test('a message that Cyrus refuses, and that comes last, keeps the user where it is, or is left behind', async () => {
    using source = await RawImap.login(imapOf('fritz'), 'emil@example.com', password)
    await source.append('INBOX', [mail('one')])
    const late = ({ step }: { readonly step: string }): void => {
      if (step !== 'freezing') return
      site.inside('emil', ['save', '-m', 'INBOX'], 'no header\r\n\r\nx\r\n')
    }
    const failed = await site.move('emil', 'klaus', { step: late })
    const { details, step } = failed.record ?? {}
    assert.deepEqual([step, details?.error?.code], ['stopped', 'TOO_MANY_BAD'])
    const [said = ''] = describeMoved(failed)
    assert.match(said, /INBOX, message 2: .*invalid header.*; emil@example\.com lives at fritz; /)
    assert.equal((await site.daemon?.status())?.frozen, undefined)
    // How many may be left behind is asked for when a move begins.
    await site.move('emil', 'klaus', { order: 'aborted' })
    const moved = await site.move('emil', 'klaus', { maxBad: 1 })
    assert.equal(moved.result, 'moved', JSON.stringify(moved.record?.details.error))
    assert.deepEqual(
      moved.bad.map(({ folder, uid }) => [folder, uid]),
      [['INBOX', 2]],
    )
    assert.equal((await mailboxOf(imapOf('klaus'), 'emil')).length, 1)
  })
})
