/** What `mailmux migrate` is told on its command line, between two Dovecots. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import type { Dovecot } from '../../src/demo/dovecot.ts'
import { buildMap } from '../../src/map/build.ts'
import type { MigrationReport, UserReport } from '../../src/migrate/migration-report.ts'
import { parseRenames } from '../../src/migrate/prepare-migration.ts'
import { type CommandResult, runCommand } from '../support/command.ts'
import { maildirFiles, putMaildirFiles } from '../support/maildir.ts'
import { adminPassword, MailboxPair, password } from '../support/mailbox-pair.ts'
import { ScriptedBackend } from '../support/peer.ts'
import { sieveOf } from '../support/sieve-round.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const people = ['ann', 'bob', 'carl', 'dora', 'emil', 'fred', 'frida', 'nora', 'olga'] as const

const mail = (text: string, lines = 1) => ({
  flags: [],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(
    `Message-Id: <${text}@x>\r\nSubject: ${text}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(lines)}`,
  ),
})

/** For ingrid; the one goes with others, the other streams. */
const tooLarge = [mail('large', 12_000), mail('larger', 30_000)] as const

function sortedBad({ bad }: UserReport) {
  return bad.toSorted((one, other) => one.uid - other.uid).entries()
}

/** Prints the most memory that the process had, in KiB; that of getrusage may be its parent's. */
const tellsMemory = `--import=data:text/javascript,${encodeURIComponent(`
  import { readFileSync } from 'node:fs'
  process.on('exit', () => {
    const status = readFileSync('/proc/self/status', 'latin1')
    process.stderr.write(/VmHWM:.*/.exec(status)[0])
  })`)}`

for (const [texts, why] of [
  [['work'], 'work: write OLD=NEW'],
  [['work='], 'work=: write OLD=NEW'],
  [['=x'], '=x: write OLD=NEW'],
  [['a=b=c'], 'a=b=c: write OLD=NEW'],
  [['a=x', 'a=y'], 'a=y: a has another name already'],
  [['a=x', 'b=y', 'c=x'], 'c=x: another folder is to be x already'],
] as const) {
  test(`names of folders such as ${texts.join(', ')} are refused`, () => {
    assert.throws(() => parseRenames(texts), { code: 'USAGE', message: `--map-folder ${why}` })
  })
}

describe('a migration as it is told', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    const limited = [
      'mail_plugins = quota',
      'protocol imap {',
      '  mail_plugins = quota',
      '}',
      'plugin {',
      '  quota = count:User quota',
      '  quota_vsizes = yes',
      '  quota_max_mail_size = 800K',
      '  sieve_extensions = -vacation',
      '}',
    ]
    pair = await MailboxPair.start(dir, { users: people, hasSieve: true, target: limited })
    writeFileSync(dir.join('secret'), `${adminPassword}\n`)
    writeFileSync(dir.join('rules'), 'a-m fritz\nn-z ingrid\n')
    const listed = ['emil', 'fred', 'frida', 'nora'].map((user) => {
      return `${user}@example.com ${user === 'nora' ? 'ingrid' : 'fritz'}\n`
    })
    writeFileSync(dir.join('user_map'), listed.join(''))
    await buildMap((await loadConfig(writeConfig())).config)
  })
  after(async () => {
    await pair[Symbol.asyncDispose]()
    dir[Symbol.dispose]()
  })

  function writeConfig(
    name = 'mailmux',
    pop3?: { readonly fritz: number; readonly ingrid: number },
  ) {
    const backend = ({ ports, name: of }: Dovecot): string => {
      const mailPort = pop3 === undefined ? '' : `pop3: ${pop3[of as keyof typeof pop3]}, `
      const admin = '{user: mailmux, password_file: secret, style: master}'
      return `{host: 127.0.0.1, imap: ${ports.imap}, sieve: ${ports.sieve}, ${mailPort}admin: ${admin}}`
    }
    const file = dir.join(`${name}.yaml`)
    const backends = `{fritz: ${backend(pair.source)}, ingrid: ${backend(pair.target)}}`
    writeFileSync(
      file,
      `hostname: mx.example.com
domains: [example.com]
backends: ${backends}
map: {user_map: user_map, rules: rules, database: map.db}
state_dir: state
run_dir: run
`,
    )
    return file
  }

  const migrate = (...words: string[]): Promise<CommandResult> => {
    const ends = ['migrate', '--from', 'fritz', '--to', 'ingrid']
    return runCommand([...ends, '--config', dir.join('mailmux.yaml'), ...words])
  }

  async function reportOf(...words: string[]): Promise<[number, UserReport]> {
    const { code, stdout } = await migrate(...words, '--json')
    const [user] = (JSON.parse(stdout) as MigrationReport).users
    assert.ok(user !== undefined)
    return [code, user]
  }

  async function verifiedBy(mode: string): Promise<[number, string]> {
    const { code, stdout } = await migrate('--users', 'emil', '--verify', mode)
    return [code, stdout.split('; ').slice(2).join('; ').trimEnd()]
  }

  const storeOf = (end: 'source' | 'target', user: string) =>
    dir.join(end, 'mail', `${user}@example.com`)

  test('one message more than --max-bad ends it, and as many are left behind and kept', async () => {
    using source = await pair.login('source', 'ann')
    using target = await pair.login('target', 'ann')
    const messages = [mail('a'), ...tooLarge, mail('b')]
    await source.append('INBOX', messages)
    const over = await migrate('--users', 'ann', '--max-bad', '1')
    assert.deepEqual([over.code, over.stderr], [1, ''], over.stdout)
    assert.match(
      over.stdout,
      /: failed: ann@\S+: INBOX, message 3: \[LIMIT\] Mail size is larger .*\(2 such messages\)\n$/,
    )
    const [code, user] = await reportOf('--users', 'ann', '--max-bad', '2')
    assert.deepEqual([code, user.result, user.bad.length], [0, 'done', 2])
    for (const [index, { file, reason, ...bad }] of sortedBad(user)) {
      const uid = index + 2
      const { body = '' } = tooLarge[index] ?? {}
      assert.deepEqual(bad, { folder: 'INBOX', uid, sizeBytes: body.length })
      assert.match(reason, /^\[LIMIT\] Mail size is larger than the maximum size allowed /)
      assert.equal(file, dir.join('state', 'quarantine', 'ann@example.com', `INBOX-${uid}.eml`))
      assert.ok(readFileSync(file).equals(body as Buffer))
    }
    const [first, , , last] = await source.contents('INBOX')
    assert.deepEqual(await target.contents('INBOX'), [first, last])
    const again = await migrate('--users', 'ann', '--max-bad', '2', '--verify', 'fast')
    assert.match(again.stdout, /: done; 0 messages, .*; 2 missing, 0 extra, .*; 2 left behind\n$/)
  })

  test('a Sieve script that the target refuses is a failure with its words, unless that is ignored', async () => {
    using source = await pair.login('source', 'bob')
    await source.append('INBOX', [mail('a')])
    using peer = await sieveOf(pair.source.ports.sieve, 'bob@example.com', password)
    const script = 'require "vacation";\r\nvacation "away";\r\n'
    peer.send(`PUTSCRIPT "away" {${script.length}+}\r\n${script}\r\n`)
    await peer.expect(/^OK.*\r\n/)
    const refused = await migrate('--users', 'bob')
    assert.equal(refused.code, 1)
    // All else is there.
    assert.match(
      refused.stdout,
      /^bob@example\.com: not equal; 1 message, .* 1 verified; Sieve script away: ingrid: .*vacation/,
    )
    assert.equal((await migrate('--users', 'bob', '--ignore', 'sieve')).code, 0)
  })

  test('UIDLs that cannot be read are a failure, unless they are ignored', async () => {
    using source = await pair.login('source', 'carl')
    await source.append('INBOX', [mail('a')])
    const taken = new Set<string>()
    await using refusing = await ScriptedBackend.start(async (peer) => {
      peer.send('+OK\r\n')
      for (;;) {
        const [verb = ''] = (await peer.line()).split(' ')
        peer.send(taken.has(verb) ? '+OK\r\n' : '-ERR not here\r\n')
      }
    })
    const ports = { fritz: refusing.port, ingrid: pair.target.ports.pop3 }
    const ends = ['migrate', '--from', 'fritz', '--to', 'ingrid', '--users', 'carl']
    const words = [...ends, '--config', writeConfig('pop3', ports)]
    const unasked = await runCommand(words)
    assert.equal(unasked.code, 1)
    assert.match(
      unasked.stdout,
      /^carl@example\.com: failed: fritz, pop3 as .*; --ignore uidl leaves what POP3 clients/,
    )
    for (const verb of ['USER', 'PASS']) taken.add(verb)
    const failed = await runCommand(words)
    assert.equal(failed.code, 1)
    assert.match(
      failed.stdout,
      /^carl@example\.com: not equal; 1 message, .* 1 verified; POP3 UIDLs are not kept: -ERR not here/,
    )
    const ignored = await runCommand([...words, '--ignore', 'uidl'])
    assert.equal(ignored.code, 0, ignored.stdout)
    assert.match(ignored.stdout, /^carl@example\.com: done; 0 messages, /)
  })

  test('--map-folder says what a folder is called there, from then on', async () => {
    const malformed = await migrate('--users', 'dora', '--map-folder', 'work')
    assert.equal(malformed.code, 2)
    assert.match(malformed.stderr, /--map-folder work: write OLD=NEW/)
    using source = await pair.login('source', 'dora')
    using target = await pair.login('target', 'dora')
    await source.command('CREATE work/a')
    await source.append('work/a', [mail('1')])
    const named = await migrate('--users', 'dora', '--map-folder', 'work/a=Büro/alt')
    assert.deepEqual([named.code, named.stderr], [0, ''], named.stdout)
    assert.match(named.stdout, /; work\/a is called Büro\/alt\n$/)
    assert.deepEqual((await target.folders()).sort(), ['B&APw-ro/alt', 'INBOX'])
    await source.append('work/a', [mail('2')])
    assert.equal((await migrate('--users', 'dora')).code, 0)
    const contents = await source.contents('work/a')
    assert.deepEqual(await target.contents('B&APw-ro/alt'), contents)
    assert.deepEqual((await target.folders()).sort(), ['B&APw-ro/alt', 'INBOX'])
  })

  test('--verify says how much is compared', async () => {
    using source = await pair.login('source', 'emil')
    await source.append('INBOX', [mail('1')])
    await source.command('CREATE work')
    await source.append('work', [mail('2'), mail('3')])
    assert.deepEqual(await verifiedBy('none'), [0, 'not verified'])
    assert.deepEqual(await verifiedBy('changed'), [0, '3 verified'])
    await source.append('INBOX', [mail('4')])
    assert.deepEqual(await verifiedBy('changed'), [0, '2 verified'])
    // Nothing tells of an octet that is another now, where none has come or gone.
    const [damaged] = maildirFiles(storeOf('target', 'emil'), '.work')
    assert.ok(damaged !== undefined)
    writeFileSync(damaged.path, damaged.octets.toString().replace('xxx', 'xyx'))
    assert.deepEqual(await verifiedBy('fast'), [0, '4 verified'])
    assert.deepEqual(await verifiedBy('full'), [1, '1 missing, 1 extra, 0 differ'])
  })

  test('a pattern names those at the back-end alone, and all are told of by their fields', async () => {
    using source = await pair.login('source', 'fred')
    await source.append('INBOX', [mail('1')])
    const { code, stdout, stderr } = await migrate('--users', '*r?d*', '--json')
    assert.deepEqual([code, stderr], [0, ''])
    const { users, ms, ...sums } = JSON.parse(stdout) as MigrationReport
    const { length: bytes } = mail('1').body
    const ends = { from: 'fritz', to: 'ingrid' }
    assert.deepEqual(sums, { ...ends, done: 2, failed: 0, untouched: 0, copied: 1, bytes })
    assert.ok(ms > 0)
    const verified = { mode: 'full', isEqual: true, folders: [] }
    const [fred, frida] = users.toSorted((one, other) => (one.user < other.user ? -1 : 1))
    const { ms: itsMs = 0, last_pass_ms = -1, ...rest } = fred ?? {}
    assert.ok(itsMs > 0 && last_pass_ms >= 0)
    assert.deepEqual(rest, {
      user: 'fred@example.com',
      result: 'done',
      estimate: { folders: 1, messages: 1, bytes },
      copied: 1,
      bytes,
      passes: 2,
      notes: [],
      problems: [],
      bad: [],
      scripts: 0,
      uidls: 0,
      extras: 0,
      verified: { ...verified, messages: { source: 1, target: 1 } },
    })
    assert.deepEqual([frida?.user, frida?.copied], ['frida@example.com', 0])
    const nobody = await migrate('--users', 'n*')
    assert.equal(nobody.code, 67)
    assert.match(nobody.stderr, /nobody of those is at fritz/)
  })

  test('a message of 50 MB goes through in little memory, octet for octet', async () => {
    const peaks: number[] = []
    for (const [user, lines] of [
      ['olga', 10_000],
      ['nora', 500_000],
    ] as const) {
      const line = `${user} `.repeat(20)
      const octets = Buffer.from(`Subject: ${user}\n\n${`${line}\n`.repeat(lines)}`)
      putMaildirFiles(storeOf('target', user), '.', [octets])
      const ends = ['--from', 'ingrid', '--to', 'fritz', '--users', user, '--verify', 'full']
      const { code, stdout, stderr } = await runCommand(
        ['migrate', ...ends, '--config', dir.join('mailmux.yaml')],
        { env: { NODE_OPTIONS: tellsMemory } },
      )
      assert.equal(code, 0, stdout + stderr)
      assert.match(stdout, /: done; 1 message, .* copied; 1 verified\n$/)
      const [copied] = maildirFiles(storeOf('source', user), '.')
      assert.ok(copied?.octets.equals(octets), user)
      peaks.push(Number(/VmHWM:\s+(\d+)/.exec(stderr)?.[1]) * 1024)
    }
    const [small = 0, large = 0] = peaks
    assert.ok(small > 10_000_000 && large - small < 50_000_000, `${small} and ${large}`)
  })
})
