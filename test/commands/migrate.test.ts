/** What `mailmux migrate` is told on its command line, between two Dovecots. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import type { Dovecot } from '../../src/demo/dovecot.ts'
import { buildMap } from '../../src/map/build.ts'
import type { MigrationReport, UserReport } from '../../src/migrate/migration-report.ts'
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
})
