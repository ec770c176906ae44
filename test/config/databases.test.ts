import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatProblem } from '../../src/base/problem.ts'
import type { DatabaseConfig } from '../../src/config/database-config.ts'
import { ldapConventions, ldapConventionNames } from '../../src/config/ldap-conventions.ts'
import { loadConfig } from '../../src/config/load.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { tempDir } from '../support/temp-dir.ts'

const head = `hostname: mx1.example.com
domains: [example.com]
backends: {fritz: {host: 10.0.0.11, lmtp: 24, imap: 143}}
map:
`

function parsed(map: string) {
  return parseConfig(`${head}  ${map}\n`, '/etc/mailmux/mailmux.yaml')
}

function mapOf(map: string) {
  const result = parsed(map)
  if ('problems' in result) assert.fail(result.problems.map(formatProblem).join('\n'))
  assert.deepEqual(result.warnings, [])
  return result.config.map
}

function databaseOf(source: string): DatabaseConfig {
  const [database] = mapOf(source).databases
  assert.ok(database)
  return database
}

function problemsIn(map: string): string[] {
  const result = parsed(map)
  assert.ok('problems' in result, 'the config was taken')
  return result.problems.map(formatProblem).map((line) => line.replace('/etc/mailmux/', ''))
}

test('a source is text, a database, or a list of both', () => {
  assert.equal(mapOf('user_map: users').userMap, '/etc/mailmux/users')
  const url = 'url: "postgres://mux@db.example.com/mail", query: SELECT a'
  const alone = mapOf(`user_map: {${url}}`)
  assert.equal(alone.userMap, undefined)
  assert.equal(alone.databases.length, 1)
  const both = mapOf(`aliases: [{${url}}, lists, {${url}}]`)
  assert.equal(both.aliases, '/etc/mailmux/lists')
  assert.deepEqual(
    both.databases.map(({ source }) => source),
    ['aliases', 'aliases'],
  )
})

test('a database gets its defaults, with paths from the folder of the file', () => {
  const { kind, ...sql } = databaseOf(
    'popmap: {url: "postgresql://m%20x@db.example.com:6000/mail", password_file: secrets/db, query: "SELECT a, b FROM c"}',
  )
  assert.equal(kind, 'postgres')
  assert.deepEqual(sql, {
    source: 'popmap',
    label: 'postgresql://db.example.com:6000/mail',
    host: 'db.example.com',
    port: 6000,
    user: 'm x',
    database: 'mail',
    socket: undefined,
    passwordFile: '/etc/mailmux/secrets/db',
    tls: 'none',
    tlsCaFile: undefined,
    timeoutMs: 300_000,
    query: 'SELECT a, b FROM c',
  })
  const ldap = databaseOf(
    'user_map: {url: "ldaps://[::1]", base: "dc=example,dc=com", attributes: {key: [mail, alias], host: MailHost}, timeout: 20s}',
  )
  assert.ok(ldap.kind === 'ldap')
  assert.equal(ldap.label, 'ldaps://[::1]/dc=example,dc=com')
  assert.deepEqual([ldap.host, ldap.port, ldap.tls], ['::1', 636, 'implicit'])
  assert.equal(ldap.filter, '(|(mail=*)(alias=*))')
  assert.deepEqual([ldap.scope, ldap.noHost, ldap.timeoutMs], ['sub', 'pass', 20_000])
  assert.deepEqual(ldap.localHosts, ['mx1.example.com'])
})

test('MySQL and MariaDB are one kind, over TCP or their socket', () => {
  for (const scheme of ['mysql', 'mariadb']) {
    const options = 'query: SELECT 1, socket: /run/mysqld/mysqld.sock'
    const mysql = databaseOf(`user_map: {url: "${scheme}://mux@localhost/mail", ${options}}`)
    assert.ok(mysql.kind === 'mysql')
    assert.deepEqual([mysql.port, mysql.socket], [3306, '/run/mysqld/mysqld.sock'])
  }
})

for (const convention of ldapConventionNames) {
  test(`the convention ${convention} is complete, and attributes beside it go before it`, () => {
    const { sources, attributes, filter } = ldapConventions[convention]
    const [source = 'user_map'] = sources
    const isProxy = convention === 'proxyAddresses'
    const options = `url: ldap://x, base: o=x, convention: ${convention}`
    const own = source === 'aliases' ? 'targets: member' : 'host: serverName'
    const plain = databaseOf(`${source}: {${options}}`)
    const changed = databaseOf(`${source}: {${options}, filter: (a=b), attributes: {${own}}}`)
    assert.ok(plain.kind === 'ldap' && changed.kind === 'ldap')
    assert.equal(plain.filter, filter)
    assert.deepEqual(plain.attributes.key, attributes.key)
    assert.equal(changed.filter, '(a=b)')
    assert.deepEqual(changed.attributes.key, attributes.key)
    assert.ok(
      isProxy ||
        changed.attributes.targets === 'member' ||
        changed.attributes.host === 'serverName',
    )
  })
}

const sql = 'query: "SELECT 1"'
const wrong: readonly (readonly [name: string, map: string, expected: readonly string[]])[] = [
  [
    'a password in a URL is not taken, and not shown',
    `user_map: {url: "postgres://mux:hunter2@db/mail", ${sql}}`,
    [
      'mailmux.yaml:5:19: error: map.user_map.url: there is a password in it; take it out, write it into a file, and name that: password_file',
    ],
  ],
  [
    'a password beside the URL is not taken, and not shown',
    `user_map: {url: "postgres://mux@db/mail", ${sql}, password: hunter2}`,
    [
      'mailmux.yaml:5:64: error: map.user_map.password: no secret is kept here; write it into a file, and name that: password_file',
    ],
  ],
  [
    'a scheme that is not known names the nearest',
    `user_map: {url: "postgre://mux:hunter2@db/mail", ${sql}}`,
    [
      'mailmux.yaml:5:19: error: map.user_map.url: postgre:// is not supported; did you mean postgres://?',
    ],
  ],
  [
    'an unknown key in a list names the nearest',
    'user_map: [users, {url: ldap://x, bas: y}]',
    ['mailmux.yaml:5:37: error: map.user_map.1.bas: unknown key; did you mean base?'],
  ],
  [
    'an unknown attribute names the nearest',
    'user_map: {url: ldap://x, base: y, attributes: {keys: mail}}',
    ['mailmux.yaml:5:51: error: map.user_map.attributes.keys: unknown key; did you mean key?'],
  ],
  [
    'what is neither text nor a database is told',
    'user_map: [users, 5]',
    [
      'mailmux.yaml:5:21: error: map.user_map.1: must be a file or directory, or a database {url, …}',
    ],
  ],
  [
    'a source has one place for text',
    'user_map: [users, more]',
    [
      'mailmux.yaml:5:21: error: map.user_map.1: there is text already; put the files into one directory, and name that',
    ],
  ],
  [
    'SQL needs a user, a database and a query',
    'user_map: {url: "mysql://db"}',
    [
      'mailmux.yaml:5:13: error: map.user_map: query is missing; write query: SELECT address, destination FROM …',
      'mailmux.yaml:5:19: error: map.user_map.url: names no user or no database; write mysql://user@host/database',
    ],
  ],
  [
    'keys of the other kind are told',
    'user_map: {url: ldap://x, base: o=x, convention: kolab, query: x}',
    [
      'mailmux.yaml:5:66: error: map.user_map.query: is for SQL; LDAP has base, filter and attributes',
    ],
  ],
  [
    'a login without a password would be nobody in LDAP',
    'user_map: {url: ldap://x, base: o=x, convention: kolab, bind_dn: cn=a}',
    [
      'mailmux.yaml:5:13: error: map.user_map: bind_dn needs password_file; without a password, a server takes everybody for nobody',
    ],
  ],
  [
    'an LDAP URL is a scheme and a host',
    'user_map: {url: "ldap://me@x/o=x?mail", base: o=x, convention: kolab}',
    [
      'mailmux.yaml:5:19: error: map.user_map.url: ends in settings; write them as keys beside url',
      'mailmux.yaml:5:19: error: map.user_map.url: names a user; write it as bind_dn',
      'mailmux.yaml:5:19: error: map.user_map.url: has a path; write it as base',
    ],
  ],
  [
    'a convention is for some sources',
    'popmap: {url: ldap://x, base: o=x, convention: nisMailAlias, attributes: {host: h}}',
    [
      'mailmux.yaml:5:50: error: map.popmap.convention: nisMailAlias says nothing for popmap; it is for aliases',
    ],
  ],
  [
    'logins need a host, aliases targets',
    'popmap: {url: ldap://x, base: o=x, attributes: {key: mail, address: other}}\n  aliases: {url: ldap://x, base: o=x, attributes: {key: mail}}',
    [
      'mailmux.yaml:5:11: error: map.popmap: attributes.host is missing; name the attribute that names the back-end',
      'mailmux.yaml:6:12: error: map.aliases: attributes.targets is missing; aliases need targets',
    ],
  ],
  [
    'an authority without TLS would vouch for nothing',
    `user_map: {url: "postgres://mux@db/mail", ${sql}, tls_ca: ca.pem}`,
    [
      'mailmux.yaml:5:72: error: map.user_map.tls_ca: there is no TLS to use it; write tls: starttls',
    ],
  ],
  [
    'ldaps has TLS by itself',
    'user_map: {url: ldaps://x, base: o=x, convention: kolab, tls: starttls}',
    [
      'mailmux.yaml:5:65: error: map.user_map.tls: ldaps:// has TLS from the beginning; leave tls out, or write ldap://',
    ],
  ],
  [
    'MySQL checks certificates against names alone',
    `user_map: {url: "mysql://mux@10.0.0.1/mail", ${sql}, tls: starttls}`,
    ['mailmux.yaml:5:19: error: map.user_map.url: TLS needs the name of the host, not its address'],
  ],
]

for (const [name, map, expected] of wrong) {
  test(name, () => assert.deepEqual(problemsIn(map), expected))
}

test('a password may be a credential that systemd gives, and else is asked for when it is needed', async () => {
  using dir = tempDir()
  const database = '{url: "ldap://localhost", password_file: $CREDENTIALS_DIRECTORY/db'
  const more = 'tls: starttls, bind_dn: cn=a, base: dc=b, convention: kolab}'
  writeFileSync(dir.join('mailmux.yaml'), `${head}  user_map: ${database}, ${more}\n`)
  const before = process.env['CREDENTIALS_DIRECTORY']
  const fileIn = async (folder: string) => {
    process.env['CREDENTIALS_DIRECTORY'] = folder
    const { config } = await loadConfig(dir.join('mailmux.yaml'))
    return config.map.databases[0]?.passwordFile
  }
  try {
    assert.equal(await fileIn('/run/credentials/mailmux'), '/run/credentials/mailmux/db')
    assert.equal(await fileIn(''), '$CREDENTIALS_DIRECTORY/db')
  } finally {
    if (before === undefined) delete process.env['CREDENTIALS_DIRECTORY']
    else process.env['CREDENTIALS_DIRECTORY'] = before
  }
})
