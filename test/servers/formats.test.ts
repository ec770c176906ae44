/** Exports in the hands of the programs that they are for. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Dovecot } from '../../src/demo/dovecot.ts'
import { runCommand } from '../support/command.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { runTool, skipWithout } from '../support/tools.ts'

const config = `hostname: mx1.example.com
domains: [example.com, example.net]
backends:
  fritz: {host: 10.0.0.11, lmtp: 24, imap: {port: 1143, tls: starttls}}
  ingrid: {host: 10.0.0.12, smtp: 25, imap: {port: 993, tls: implicit}, pop3: {port: 995, tls: implicit}}
smarthost: ingrid
map: {aliases: aliases, user_map: user_map, popmap: popmap, rules: rules, database: map.db}
state_dir: state
`
const sources = {
  user_map:
    'ann@example.com fritz\nbob ingrid\nbob@example.net fritz\neva@example.com e.va@ingrid\ngus@example.com error:5.1.6:551 User has moved to gus@else.org\nhal@example.net hal@else.org\n',
  aliases: 'info: ann, "b q"@example.net\nteam@example.com: bob, eva\n"b q"@example.net: ann\n',
  popmap: 'ann@example.com:ingrid\neva@example.com:e-va@fritz\nian:fritz\n',
  rules: '@example.net ingrid\n*.old@example.com reject\n',
}

interface Lookup {
  readonly result: string
  readonly backend?: string
  readonly login?: string
  readonly host?: string
  readonly port?: number
}

/** makegdbm prints the NULs that it has put behind keys and values, too. */
function sorted(text: string): string[] {
  return text.replaceAll('\0', '').trim().split('\n').toSorted()
}

describe('exports in the programs that they are for', () => {
  let dir: TempDir
  before(async () => {
    dir = tempDir()
    writeFileSync(dir.join('mailmux.yaml'), config)
    for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
    assert.equal((await mailmux('build-map')).code, 0)
  })
  after(() => dir[Symbol.dispose]())

  const mailmux = (...words: string[]) =>
    runCommand([...words, '--config', dir.join('mailmux.yaml')])

  const tool = (command: string, ...args: readonly string[]) => runTool(dir.path, command, args)

  async function exportTo(format: string): Promise<string> {
    const { stdout } = await mailmux('map', 'export', format, '--partial')
    const file = dir.join(format)
    writeFileSync(file, stdout)
    assert.notEqual(stdout, '')
    return file
  }

  async function lookups(names: readonly string[], ...flags: string[]): Promise<Lookup[]> {
    const { stdout } = await mailmux('lookup', '--json', ...flags, ...names)
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Lookup)
  }

  test('Postfix finds every address where the map sends it', {
    skip: skipWithout('postmap'),
  }, async () => {
    mkdirSync(dir.join('postfix'))
    writeFileSync(dir.join('postfix/main.cf'), 'compatibility_level = 3.6\n')
    const postmap = ['postmap', '-c', dir.join('postfix')] as const
    const transport = await exportTo('postfix-transport')
    const made = await tool(...postmap, `hash:${transport}`)
    assert.deepEqual([made.code, made.stderr], [0, ''])
    const names = ['ann@example.com', 'bob@example.com', 'bob@example.net', 'eva@example.com']
    const found = await lookups(names)
    for (const [index, name] of names.entries()) {
      const { stdout } = await tool(...postmap, '-q', name, `hash:${transport}`)
      const { host = '', port = 0 } = found[index] ?? {}
      assert.match(stdout.trim(), new RegExp(`^(?:lmtp:inet|smtp):\\[${host}\\]:${port}$`), name)
    }
    const domain = await tool(...postmap, '-q', 'example.net', `hash:${transport}`)
    assert.equal(domain.stdout, 'smtp:[10.0.0.12]:25\n')
    const gone = await tool(...postmap, '-q', 'gus@example.com', `hash:${transport}`)
    assert.equal(gone.stdout, 'error:5.1.6 User has moved to gus@else.org\n')

    for (const [format, key, value] of [
      ['postfix-virtual', 'info@example.net', 'ann@example.com, "b q"@example.net'],
      ['postfix-virtual', 'hal@example.net', 'hal@else.org'],
      ['postfix-virtual', '"b q"@example.net', 'ann@example.com'],
      ['postfix-relay-recipients', '"b q"@example.net', 'OK'],
      ['postfix-relocated', 'gus@example.com', 'gus@else.org'],
      ['postfix-relay-recipients', 'team@example.com', 'OK'],
    ] as const) {
      const file = await exportTo(format)
      const { code, stderr } = await tool(...postmap, `hash:${file}`)
      assert.deepEqual([code, stderr], [0, ''], format)
      const { stdout } = await tool(...postmap, '-q', key, `hash:${file}`)
      assert.equal(stdout, `${value}\n`, format)
    }
  })

  test('postalias takes the aliases', { skip: skipWithout('postalias') }, async () => {
    mkdirSync(dir.join('postalias'))
    writeFileSync(dir.join('postalias/main.cf'), 'compatibility_level = 3.6\n')
    const file = await exportTo('sendmail-aliases')
    const postalias = ['postalias', '-c', dir.join('postalias')] as const
    const made = await tool(...postalias, `hash:${file}`)
    assert.deepEqual([made.code, made.stderr], [0, ''])
    const { stdout } = await tool(...postalias, '-q', 'info', `hash:${file}`)
    assert.equal(stdout.trim(), 'ann, "b q"@example.net')
    assert.equal((await tool(...postalias, '-q', 'team', `hash:${file}`)).stdout.trim(), 'bob, eva')
  })

  test('makegdbm takes the popmap and gives it back', {
    skip: skipWithout('makegdbm'),
  }, async () => {
    const file = await exportTo('perdition-popmap')
    const database = dir.join('popmap.gdbm')
    const made = await tool('sh', '-c', `makegdbm "$0" < "$1"`, database, file)
    assert.equal(made.code, 0, made.stderr)
    const { stdout } = await tool('makegdbm', '-u', database)
    assert.deepEqual(sorted(stdout), sorted(readFileSync(file, 'utf8')))
  })

  test('nginx takes the map block', { skip: skipWithout('nginx') }, async () => {
    const file = await exportTo('nginx-map')
    const text = `error_log stderr; pid ${dir.join('pid')}; events {}
http { map $http_auth_user $back { include ${file}; } server { listen unix:${dir.join('socket')}; } }
`
    writeFileSync(dir.join('nginx.conf'), text)
    const { code, stderr } = await tool('nginx', '-t', '-q', '-c', dir.join('nginx.conf'))
    assert.equal(code, 0, stderr)
  })

  test('Dovecot routes every login as the map does', { skip: skipWithout('dovecot') }, async () => {
    const file = await exportTo('dovecot-passwd-file')
    using folder = tempDir()
    chmodSync(folder.path, 0o755)
    const users = [{ address: 'nobody@example.com', password: 'x' }]
    await using dovecot = await Dovecot.start({
      name: 'proxy',
      folder: folder.join('dovecot'),
      users,
    })
    writeFileSync(folder.join('dovecot/users'), readFileSync(file))
    const names = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(':')[0] ?? '')
    const whole = ['ann', 'bob', 'eva', 'ian'].map((name) => `${name}@example.com`)
    assert.deepEqual(names.toSorted(), [...whole, 'bob@example.net', 'ian@example.net'].toSorted())
    const found = await lookups(names, '--retrieval')
    for (const [index, name] of names.entries()) {
      const said = await dovecot.doveadm('auth', 'lookup', name)
      const fields = new Map(
        [...said.matchAll(/^ *([a-z]+)\s*: (.*)$/gm)].map(([, key, value]) => [key, value]),
      )
      const { backend, host, port, login } = found[index] ?? {}
      const isUsual = backend === 'ingrid'
      assert.deepEqual(
        ['host', 'destuser', 'port', 'ssl', 'starttls'].map((field) => fields.get(field)),
        isUsual
          ? [host, login, undefined, 'yes', undefined]
          : [host, login, `${port}`, undefined, 'yes'],
        said,
      )
    }
    await assert.rejects(dovecot.doveadm('auth', 'lookup', 'gus@example.com'))
  })
})
