/** `mailmux migrate --source`: from a Dovecot that is no back-end of ours, over TLS. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Dovecot } from '../../src/demo/dovecot.ts'
import type { MigrationReport } from '../../src/migrate/migration-report.ts'
import { type Authority, makeAuthority } from '../support/certificates.ts'
import { type CommandResult, runCommand } from '../support/command.ts'
import { RawImap } from '../support/raw-imap.ts'
import { password, takesTokens, tokenFor, tokenLines } from '../support/real-site.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const people = ['ann', 'bob', 'carl', 'dora', 'emil'] as const
const admin = { user: 'mailmux', password: 'master of all' }
const skip =
  skipWithout('dovecot', 'openssl') || (!takesTokens && 'only Dovecot 2.3 is configured for tokens')

const mail = (text: string) => ({
  flags: ['\\Flagged'],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`Message-Id: <${text}@x>\r\nSubject: ${text}\r\n\r\n`),
})

describe('a migration from elsewhere', { skip }, () => {
  const dir = tempDir()
  const authority = makeAuthority()
  let old: Dovecot
  let ingrid: Dovecot

  before(async () => {
    chmodSync(dir.path, 0o755)
    const users = people.map((user) => ({ address: `${user}@example.com`, password }))
    const certificate = authority.issue(['localhost'])
    const further = tokenLines(dir)
    ;[old, ingrid] = await Promise.all([
      Dovecot.start({ name: 'old', folder: dir.join('old'), users, certificate, further }),
      Dovecot.start({ name: 'ingrid', folder: dir.join('ingrid'), users, admin }),
    ])
    writeFileSync(dir.join('secret'), admin.password)
    writeFileSync(dir.join('rules'), '* ingrid\n')
    const way = '{user: mailmux, password_file: secret, style: master}'
    writeFileSync(
      dir.join('mailmux.yaml'),
      `hostname: mx.example.com
domains: [example.com]
backends: {ingrid: {host: 127.0.0.1, imap: ${ingrid.ports.imap}, admin: ${way}}}
map: {rules: rules}
state_dir: state
run_dir: run
`,
    )
  })
  after(async () => {
    await Promise.all([old, ingrid].map((one) => one.stop()))
    dir[Symbol.dispose]()
  })

  /** With a file of credentials of that text; the authority that is trusted stands for the system's. */
  function migrate(
    source: string,
    credentials: string,
    words: readonly string[] = [],
    trusted: Authority = authority,
  ): Promise<CommandResult> {
    writeFileSync(dir.join('ca.pem'), trusted.ca)
    writeFileSync(dir.join('credentials'), credentials, { mode: 0o600 })
    const ends = ['--source', source, '--credentials', dir.join('credentials'), '--to', 'ingrid']
    const args = ['migrate', ...ends, '--config', dir.join('mailmux.yaml'), ...words]
    return runCommand(args, { env: { SSL_CERT_FILE: dir.join('ca.pem') } })
  }

  const overTls = () => `imaps://localhost:${old.ports.imaps}`

  async function fill(user: string, ...texts: readonly string[]): Promise<RawImap> {
    const source = await RawImap.login(old.ports.imap, `${user}@example.com`, password)
    await source.append('INBOX', texts.map(mail))
    return source
  }

  async function checkEqual(user: string, source: RawImap): Promise<void> {
    using target = await RawImap.login(ingrid.ports.imap, `${user}@example.com`, password)
    assert.deepEqual(await target.everything(), await source.everything())
  }

  test('a token logs in by OAUTHBEARER, and is told to nobody', async () => {
    using source = await fill('ann', 'one', 'two')
    await source.command('CREATE work')
    await source.append('work', [mail('three')])
    const token = tokenFor('ann@example.com')
    const line = `ann ann@example.com token ${token}\n`
    const first = await migrate(overTls(), line)
    assert.deepEqual([first.code, first.stderr], [0, ''], first.stdout)
    assert.match(first.stdout, /^ann@example\.com: done; 3 messages, .* copied; 3 verified\n$/)
    await checkEqual('ann', source)

    await source.append('work', [mail('four')])
    const again = await migrate(overTls(), line, ['--json'])
    const report = JSON.parse(again.stdout) as MigrationReport
    assert.deepEqual([again.code, report.from, report.copied], [0, overTls().slice(8), 1])
    await checkEqual('ann', source)
    assert.ok(!(first.stdout + again.stdout + again.stderr).includes(token))
  })

  test('a token that is wrong, or over, is refused, tells of nothing of it, and keeps no one else', async () => {
    using source = await fill('carl', 'one')
    const over = tokenFor('bob@example.com', -60_000)
    const foreign = tokenFor('ann@example.com')
    const lines = [
      'ann ann@example.com token never.was.one',
      `bob bob@example.com token ${over}`,
      'carl carl@example.com password correct horse',
      `dora dora@example.com token ${foreign}`,
    ]
    const { code, stdout, stderr } = await migrate(overTls(), `${lines.join('\n')}\n`)
    assert.deepEqual([code, stderr], [1, ''], stdout)
    for (const user of ['ann', 'bob', 'dora']) {
      const what = `${user}@example\\.com: failed: localhost, imap as ${user}@example\\.com: `
      assert.match(stdout, new RegExp(`^${what}the login was refused$`, 'm'))
    }
    assert.match(stdout, /^carl@example\.com: done; 1 message, /m)
    assert.match(stdout, /^4 users: 1 done, 3 failed; 1 message, /m)
    for (const token of ['never.was.one', over, foreign]) assert.ok(!stdout.includes(token))
    await checkEqual('carl', source)
  })

  test('STARTTLS is asked for where the source is imap://', async () => {
    using source = await fill('emil', 'one')
    const line = 'emil emil@example.com password correct horse\n'
    const url = `imap://localhost:${old.ports.imap}`
    const { code, stdout, stderr } = await migrate(url, line)
    assert.deepEqual([code, stderr], [0, ''], stdout)
    await checkEqual('emil', source)
  })

  for (const [what, host, trusted, why] of [
    ['that nobody vouches for', 'localhost', makeAuthority('another'), /unable to verify/],
    ['of another name', '127.0.0.1', authority, /IP: 127\.0\.0\.1 is not in the cert's list/],
  ] as const) {
    test(`a server ${what} is told nothing`, async () => {
      const line = `bob bob@example.com token ${tokenFor('bob@example.com')}\n`
      const url = `imaps://${host}:${old.ports.imaps}`
      const { code, stdout } = await migrate(url, line, [], trusted)
      assert.equal(code, 75, stdout)
      const told = `bob@example.com: failed: ${host}, imap as bob@example.com: tls: `
      assert.equal(stdout.slice(0, told.length), told)
      assert.match(stdout, why)
    })
  }
})
