/** `mailmux migrate` between two Dovecots, and the comparison that ends it. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { OutsideDoor } from '../../src/backend/outside-door.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Dovecot } from '../../src/demo/dovecot.ts'
import { buildMap } from '../../src/map/build.ts'
import type { MigrationReport } from '../../src/migrate/migration-report.ts'
import { type VerifyMode, verifyMailbox } from '../../src/migrate/verify-mailbox.ts'
import { runCommand } from '../support/command.ts'
import { adminPassword, MailboxPair, password } from '../support/mailbox-pair.ts'
import { nastyMessages } from '../support/nasty-mailbox.ts'
import { randomOf } from '../support/random.ts'
import { sieveOf } from '../support/sieve-round.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const people = ['ann', 'bob', 'carl', 'dora', 'emil', 'hans', 'karl', 'nora'] as const
const signal = new AbortController().signal
const octets = (name: string) => `"${Buffer.from(name).toString('latin1')}"`

const mail = (text: string) => ({
  flags: [],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`Message-Id: <${text}@x>\r\nSubject: ${text}\r\n\r\n`),
})

async function scriptsOf(backend: Dovecot, user: string): Promise<string> {
  using peer = await sieveOf(backend.ports.sieve, `${user}@example.com`, password)
  peer.send(`LISTSCRIPTS\r\nGETSCRIPT ${octets('vacation ü')}\r\nLOGOUT\r\n`)
  return (await peer.end()).replace(/^OK "Logout.*/m, '')
}

describe('a migration', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    pair = await MailboxPair.start(dir, { users: people, hasSieve: true })
    writeFileSync(dir.join('secret'), `${adminPassword}\n`)
    writeFileSync(dir.join('rules'), 'a-m fritz\nn-z ingrid\n')
    writeFileSync(
      dir.join('user_map'),
      ['bob', 'carl', 'dora'].map((user) => `${user}@example.com fritz\n`).join(''),
    )
    writeConfig('secret')
    await buildMap((await loadConfig(dir.join('mailmux.yaml'))).config)
  })
  after(async () => {
    await pair[Symbol.asyncDispose]()
    dir[Symbol.dispose]()
  })

  function writeConfig(secret: string): void {
    const backend = ({ ports }: Dovecot, style: string): string =>
      `{host: 127.0.0.1, imap: ${ports.imap}, sieve: ${ports.sieve}, admin: {user: mailmux, password_file: ${secret}, style: ${style}}}`
    writeFileSync(
      dir.join('mailmux.yaml'),
      `hostname: mx.example.com
domains: [example.com]
backends:
  fritz: ${backend(pair.source, 'authzid')}
  ingrid: ${backend(pair.target, 'master')}
map: {user_map: user_map, rules: rules}
state_dir: state
run_dir: run
`,
    )
  }

  const migrate = (...words: string[]) =>
    runCommand([
      'migrate',
      '--from',
      'fritz',
      '--to',
      'ingrid',
      '--config',
      dir.join('mailmux.yaml'),
      ...words,
    ])

  test('looks, copies, follows, and says what it did, for a person and for a program', async () => {
    using source = await pair.login('source', 'bob')
    await source.command('CREATE a/b')
    await source.append('a/b', nastyMessages(randomOf(7), 12))
    await source.append('INBOX', [mail('1')])
    const looked = await migrate('--users', 'bob@*', '--dry-run')
    assert.deepEqual([looked.code, looked.stderr], [0, ''])
    assert.match(
      looked.stdout,
      /^bob@example\.com: 13 messages, \d+\.\d kB in \d+ folders, about \d+s to copy and \d+s frozen\n$/,
    )
    using target = await pair.login('target', 'bob')
    assert.deepEqual(await target.folders(), ['INBOX'])

    const first = await migrate('--users', '*b@*')
    assert.match(first.stdout, /^bob@example\.com: done; 13 messages, .* copied; 13 verified\n$/)
    assert.deepEqual([first.code, first.stderr], [0, ''])
    assert.deepEqual(await target.everything(), await source.everything())

    await source.append('INBOX', [mail('2')])
    const second = await migrate('--users', 'bob')
    // Of the folder in which something happened alone.
    assert.match(second.stdout, /^bob@example\.com: done; 1 message, .* copied; 2 verified\n$/)
    await source.append('INBOX', [mail('3')])
    const again = await migrate('--users', 'bob', '--json', '--verify', 'fast')
    const report = JSON.parse(again.stdout) as MigrationReport
    assert.deepEqual(
      [report.copied, report.done, report.failed, report.untouched, report.users[0]?.verified],
      [
        1,
        1,
        0,
        0,
        { mode: 'fast', isEqual: true, messages: { source: 15, target: 15 }, folders: [] },
      ],
    )
  })

  test('takes users of a file, with the names that they have at each end', async () => {
    using source = await pair.login('source', 'ann')
    using target = await pair.login('target', 'nora')
    await source.append('INBOX', [mail('to nora')])
    writeFileSync(
      dir.join('users'),
      '# those of Monday\nann  ann@example.com nora@example.com # by another name\n\n',
    )
    const { stdout, code, stderr } = await migrate('--users', dir.join('users'))
    assert.equal(stderr, '')
    assert.match(stdout, /^ann@example\.com: done; 1 message, /)
    assert.equal(code, 0)
    assert.equal((await target.contents('INBOX')).length, 1)
    writeFileSync(dir.join('users'), 'nora\n')
    const stranger = await migrate('--users', dir.join('users'))
    assert.equal(stranger.code, 67)
    assert.match(stranger.stderr, /users:1: logins of nora@example\.com do not go to fritz/)
  })

  test('refuses a mailbox that is not empty, unless it is to be added to', async () => {
    using source = await pair.login('source', 'carl')
    using target = await pair.login('target', 'carl')
    await source.append('INBOX', [mail('old')])
    await target.append('INBOX', [mail('welcome')])
    const refused = await migrate('--users', 'carl', '--json')
    const [user] = (JSON.parse(refused.stdout) as MigrationReport).users
    assert.deepEqual([refused.code, user?.error?.code], [1, 'TARGET_NOT_EMPTY'])
    const merged = await migrate('--users', 'carl', '--merge')
    assert.deepEqual([merged.code, merged.stderr], [0, ''], merged.stdout)
    assert.equal((await target.contents('INBOX')).length, 2)
  })

  test('a mailbox elsewhere is copied with the password of its user', async () => {
    using source = await pair.login('source', 'karl')
    using target = await pair.login('target', 'karl')
    await source.append('INBOX', [mail('1')])
    const endpoint = { host: '127.0.0.1', port: pair.source.ports.imap, tls: 'none' } as const
    const limits = { connectTimeoutMs: 5000, loginTimeoutMs: 5000 } as never
    const login = 'karl@example.com'
    const door = new OutsideDoor(
      endpoint,
      limits,
      new Map([[login, { kind: 'password', secret: password }]]),
    )
    const ends = { ...pair.endsOf('karl'), source: door.accessTo(login) }
    assert.equal((await pair.pass('karl', { ends, source: '127.0.0.1' })).copied, 1)
    assert.deepEqual(await target.everything(), await source.everything())
    writeFileSync(dir.join('credentials'), `karl ${login} password ${password}\n`)
    const bare = ['migrate', '--source', `imaps://127.0.0.1:${endpoint.port}`, '--to', 'ingrid']
    const words = ['--credentials', dir.join('credentials'), '--config', dir.join('mailmux.yaml')]
    const { code, stdout } = await runCommand([...bare, ...words])
    assert.equal(code, 75)
    assert.match(
      stdout,
      /^karl@example\.com: failed: 127\.0\.0\.1, imap as karl@example\.com: tls: /,
    )
  })

  test('Sieve scripts come along, with the active one', async () => {
    {
      using peer = await sieveOf(pair.source.ports.sieve, 'hans@example.com', password)
      for (const [name, text] of [
        ['vacation ü', 'keep;\r\n'],
        ['other', '# {3+}\r\nstop;\r\n'],
      ] as const) {
        peer.send(`PUTSCRIPT ${octets(name)} {${text.length}+}\r\n${text}\r\n`)
        await peer.expect(/^OK.*\r\n/)
      }
      peer.send(`SETACTIVE ${octets('vacation ü')}\r\n`)
      await peer.expect(/^OK.*\r\n/)
    }
    const { stdout, code } = await migrate('--users', 'hans', '--json')
    const [report] = (JSON.parse(stdout) as MigrationReport).users
    assert.deepEqual([code, report?.result, report?.scripts], [0, 'done', 2], stdout)
    const found = await scriptsOf(pair.target, 'hans')
    assert.match(found, /"other"\r\n/)
    assert.match(found, /"vacation \xc3\xbc" ACTIVE\r\n/)
    assert.match(found, /keep;\r\n/)
    assert.equal(found, await scriptsOf(pair.source, 'hans'))
    const again = await migrate('--users', 'hans', '--json')
    assert.equal((JSON.parse(again.stdout) as MigrationReport).users[0]?.scripts, 0)
  })

  test('a secret that is wrong or missing ends it before anything', async () => {
    try {
      writeConfig('nothing')
      const missing = await migrate('--users', 'dora')
      assert.equal(missing.code, 78)
      assert.match(missing.stderr, /nothing: .*ENOENT/)
      writeFileSync(dir.join('wrong'), 'wrong\n')
      writeConfig('wrong')
      const wrong = await migrate('--users', 'dora')
      assert.equal(wrong.code, 1)
      assert.match(
        wrong.stdout,
        /^dora@example\.com: failed: fritz, imap as dora@example\.com: the login was refused\n$/,
      )
      assert.doesNotMatch(readFileSync(dir.join('mailmux.yaml'), 'utf8'), /battery/)
    } finally {
      writeConfig('secret')
    }
  })

  for (const mode of ['full', 'fast'] as const satisfies readonly VerifyMode[]) {
    test(`the comparison (${mode}) sees what is missing, too many, or different`, async () => {
      const user = mode === 'full' ? 'dora' : 'emil'
      using source = await pair.login('source', user)
      using target = await pair.login('target', user)
      await source.append('INBOX', ['1', '2', '3', '3', '4'].map(mail))
      const flagged = { ...mail('3'), flags: ['\\Flagged'] }
      const late = { ...mail('4'), date: '17-Jul-1996 02:44:26 -0700' }
      await target.append('INBOX', [mail('5'), flagged, late, mail('1')])
      const pairs = [{ source: { name: 'INBOX' }, target: 'INBOX' }] as never
      const verdict = await verifyMailbox(pair.endsOf(user), pairs, mode, signal)
      assert.equal(verdict.isEqual, false)
      assert.deepEqual(verdict.messages, { source: 5, target: 4 })
      const [{ missing, extra, differing } = { missing: [], extra: [], differing: [] }] =
        verdict.folders
      assert.deepEqual(
        [missing.map(({ uid }) => uid), extra.map(({ uid }) => uid), differing],
        [
          [2, 4],
          [1],
          [
            { source: 3, target: 2, differs: ['flags'] },
            { source: 5, target: 3, differs: ['date'] },
          ],
        ],
      )
      const unread = await verifyMailbox(
        pair.endsOf(user),
        [{ source: { name: 'INBOX' }, target: 'nowhere' }] as never,
        mode,
        signal,
      )
      assert.match(unread.folders[0]?.problem ?? '', /doesn't exist/)
    })
  }
})
