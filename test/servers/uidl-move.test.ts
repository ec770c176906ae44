/** A POP3 client that leaves mail on the server, whose user's mailbox goes from one Dovecot to another. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { MigrationReport } from '../../src/migrate/migration-report.ts'
import { runCommand } from '../support/command.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { adminPassword, MailboxPair, password } from '../support/mailbox-pair.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'
import { runTool, skipWithout } from '../support/tools.ts'

const mail = (subject: string) => ({
  flags: [],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`Subject: ${subject}\r\n\r\n1 0000000365000000\r\n.\r\n`),
})

const backend = ({ ports }: MailboxPair['source']): string =>
  `{host: 127.0.0.1, imap: ${ports.imap}, pop3: ${ports.pop3}, admin: {user: mailmux, password_file: secret, style: master}}`

describe('UIDLs of a user who moves', { skip: skipWithout('dovecot', 'mpop') }, () => {
  const dir = tempDir()
  const resources = new AsyncDisposableStack()
  let pair: MailboxPair
  let daemon: Daemon

  before(async () => {
    // The names that a server gives by another format, which say nothing, are told apart by size.
    resources.use(dir)
    pair = resources.use(
      await MailboxPair.start(dir, {
        users: ['ann', 'bob'],
        target: ['protocol pop3 {', '  pop3_uidl_format = %g', '}'],
      }),
    )
    writeFileSync(dir.join('secret'), `${adminPassword}\n`)
    writeFileSync(dir.join('user_map'), 'ann@example.com fritz\nbob@example.com fritz\n')
    await buildMapOf(dir, config())
    daemon = resources.use(await startDaemon({ dir, config: config(), services: ['pop3'] }))
  })
  after(() => resources.disposeAsync())

  function config(): string {
    return `hostname: mx.example.com
domains: [example.com]
backends:
  fritz: ${backend(pair.source)}
  ingrid: ${backend(pair.target)}
map: {user_map: user_map}
listen: {pop3: ["127.0.0.1:0"]}
limits: {drain_timeout: 1s}
`
  }

  const run = (...words: string[]) => runCommand([...words, '--config', dir.join('mailmux.yaml')])

  async function migrate(from: string, to: string, user: string): Promise<MigrationReport> {
    const words = ['--from', from, '--to', to, '--users', user, '--merge', '--json']
    const { code, stdout, stderr } = await run('migrate', ...words)
    assert.equal(code, 0, stdout + stderr)
    return JSON.parse(stdout) as MigrationReport
  }

  async function send(user: string, backend: string): Promise<void> {
    const { code, stderr } = await run('user', 'add', user, backend, '--replace')
    assert.equal(code, 0, stderr)
  }

  /** Subjects of what mpop fetches, which remembers what it has. */
  async function fetched(user: string): Promise<string[]> {
    const [box, file] = [dir.join(`${user}.mbox`), dir.join(`${user}.mpoprc`)]
    writeFileSync(box, '')
    const lines = [
      'account site',
      'host 127.0.0.1',
      `port ${daemon.ports.pop3[0]}`,
      `user ${user}@example.com`,
      `password ${password}`,
      'auth user',
      'tls off',
      `uidls_file ${dir.join(`${user}.uidls`)}`,
      `delivery mbox ${box}`,
      'keep on',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    const { code, stdout, stderr } = await runTool(dir.path, 'mpop', ['-C', file, 'site'])
    assert.equal(code, 0, stdout + stderr)
    return [...readFileSync(box, 'utf8').matchAll(/^Subject: (.*)$/gm)].map(
      ([, text]) => text ?? '',
    )
  }

  /** The answer to UIDL, without numbers. */
  async function uidls(user: string, port = daemon.ports.pop3[0] ?? 0): Promise<string[]> {
    using peer = await Peer.connect(port)
    await peer.expect(/^\+OK.*\r\n/)
    peer.send(`USER ${user}@example.com\r\nPASS ${password}\r\nUIDL\r\nUIDL 1\r\nQUIT\r\n`)
    await peer.expect(/^\+OK.*\r\n\+OK.*\r\n\+OK.*\r\n/)
    const list = await peer.message()
    const found = [...list.matchAll(/^\d+ (\S+)\r$/gm)].map(([, uidl = '']) => uidl)
    const [, first] = await peer.expect(/^\+OK 1 (\S+)\r\n\+OK/)
    assert.equal(first, found[0])
    return found
  }

  test('mpop fetches nothing twice, and what is new, there and back again', async () => {
    using source = await pair.login('source', 'ann')
    await source.append('INBOX', ['one', 'two', 'three', 'gone', 'five'].map(mail))
    await source.command('SELECT INBOX')
    await source.command('STORE 1,4 +FLAGS (\\Deleted)')
    await source.command('EXPUNGE')
    assert.deepEqual(await fetched('ann'), ['two', 'three', 'five'])
    const before = await uidls('ann')
    await source.append('INBOX', [mail('six')])
    const { users } = await migrate('fritz', 'ingrid', 'ann')
    assert.deepEqual([users[0]?.uidls, users[0]?.notes], [4, []])
    await send('ann', 'ingrid')
    const after = await uidls('ann')
    assert.deepEqual(after.slice(0, 3), before)
    const own = await uidls('ann', pair.target.ports.pop3)
    assert.equal(new Set([...own, ...before]).size, own.length + before.length)
    assert.deepEqual(await fetched('ann'), ['six'])
    assert.deepEqual(await fetched('ann'), [])
    using target = await pair.login('target', 'ann')
    await target.append('INBOX', [mail('seven')])
    assert.deepEqual(await fetched('ann'), ['seven'])
    // What clients know messages by is now partly of the first home, and partly of the second.
    const there = await uidls('ann')
    await migrate('ingrid', 'fritz', 'ann')
    await send('ann', 'fritz')
    assert.deepEqual((await uidls('ann')).slice(-there.length), there)
    assert.deepEqual(daemon.eventsOf('internal'), [])
  })

  test('so it is where `user move` brings the mailbox over, and back', async () => {
    using source = await pair.login('source', 'bob')
    await source.append('INBOX', ['one', 'two'].map(mail))
    assert.deepEqual(await fetched('bob'), ['one', 'two'])
    const before = await uidls('bob')
    for (const home of ['ingrid', 'fritz']) {
      const { code, stdout, stderr } = await run('user', 'move', 'bob', '--to', home)
      assert.equal(code, 0, stdout + stderr)
      assert.deepEqual(await uidls('bob'), before)
      assert.deepEqual(await fetched('bob'), [])
    }
    await source.append('INBOX', [mail('three')])
    assert.deepEqual(await fetched('bob'), ['three'])
  })
})
