/** Maps from real OpenLDAP, and from servers that do what OpenLDAP does not. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { buildMap } from '../../src/map/build.ts'
import { checkMap } from '../../src/map/check-map.ts'
import { makeAuthority } from '../support/certificates.ts'
import { runCommand } from '../support/command.ts'
import { cutAfter, silentServer } from '../support/cut-proxy.ts'
import {
  databasePassword,
  databasePrograms,
  type DatabaseServer,
  ldapAdmin,
  ldapBase,
  startOpenldap,
} from '../support/database-server.ts'
import { failureOf, saysOf, siteOf } from '../support/database-site.ts'
import { type Page, pagedLdapServer } from '../support/paged-ldap.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const authority = makeAuthority()
const certificate = authority.issue(['localhost'])

function entry(dn: string, lines: readonly string[]): string {
  return `dn: ${dn},${ldapBase}\n${lines.join('\n')}\n\n`
}

function person(uid: string, ...lines: readonly string[]): string {
  const own = ['objectClass: inetOrgPerson', 'objectClass: inetLocalMailRecipient']
  return entry(`uid=${uid},ou=people`, [...own, `sn: ${uid}`, `cn: ${uid}`, ...lines])
}

const people = [
  entry('ou=people', ['objectClass: organizationalUnit']),
  person(
    'ann',
    'mailLocalAddress: Ann@Example.com',
    'mailLocalAddress: a@example.com',
    'mailHost: fritz.example.com',
  ),
  person(
    'bob',
    'mailLocalAddress: bob@example.com',
    'mailHost: ingrid.example.com',
    'mailRoutingAddress: b@in.example.com',
  ),
  person('carl', 'mailLocalAddress: carl@example.com', 'mailRoutingAddress: bob@example.com'),
  person('dora', 'mailLocalAddress: dora@example.com'),
  person('emil', 'mailLocalAddress: emil@example.com', 'mailHost: mx1.example.com'),
  // "jörg" with a host.
  person('joerg', 'mailLocalAddress: joerg@example.com', 'mailHost: fritz'),
].join('')

const lists = [
  entry('ou=lists', ['objectClass: organizationalUnit']),
  entry('cn=team,ou=lists', [
    'objectClass: nisMailAlias',
    'rfc822MailMember: bob@example.com',
    'rfc822MailMember: ann@example.com',
  ]),
].join('')

const faults = [
  entry('ou=faults', ['objectClass: organizationalUnit']),
  entry('cn=a,ou=faults', [
    'objectClass: inetOrgPerson',
    'sn: a',
    'mail: ann@example.com',
    'l: fritx',
  ]),
  entry('cn=b,ou=faults', [
    'objectClass: inetOrgPerson',
    'sn: b',
    'mail: bob@example.com',
    'l: fritz',
    'l: ingrid',
  ]),
  // "x", a line end, "y fritz".
  entry('cn=c,ou=faults', [
    'objectClass: inetOrgPerson',
    'sn: c',
    'mail: carl@example.com',
    'l:: eAp5IGZyaXR6',
  ]),
  entry('cn=d,ou=faults', [
    'objectClass: inetOrgPerson',
    'sn: d',
    'mail: dora@example.com',
    'l: fritz',
  ]),
].join('')

/** Two pages to the entry. */
const manyCount = 2000
const many =
  entry('ou=many', ['objectClass: organizationalUnit']) +
  Array.from({ length: manyCount }, (_, number) =>
    entry(`uid=user${number},ou=many`, [
      'objectClass: inetOrgPerson',
      'sn: x',
      'cn: x',
      `mail: user${number}@example.com`,
      'l: fritz',
    ]),
  ).join('')

describe('a map from OpenLDAP', { skip: skipWithout(databasePrograms.openldap) }, () => {
  let server: DatabaseServer
  before(async () => {
    server = await startOpenldap(certificate, people + lists + faults + many)
  })
  after(() => server[Symbol.asyncDispose]())

  const files = { secret: `${databasePassword}\n`, 'ca.pem': authority.ca }
  const bind = `bind_dn: "${ldapAdmin}", password_file: secret`

  function source(options: string, where = '', port = server.port): string {
    const base = `base: "${where}${ldapBase}"`
    return `{url: "ldap://127.0.0.1:${port}", ${base}, ${bind}, ${options}}`
  }
  const plainAttributes = 'attributes: {key: mail, host: l}'
  const everybody = (port?: number): string =>
    `  user_map: ${source(plainAttributes, 'ou=many,', port)}\n`
  const routed = (): string => `  user_map: ${source('convention: inetLocalMailRecipient')}\n`

  const expected = [
    'user_map a@example.com fritz',
    'user_map ann@example.com fritz',
    'user_map bob@example.com b@in.example.com@ingrid',
    'user_map carl@example.com bob@example.com',
    'user_map joerg@example.com fritz',
  ]

  test('entries become users, and lists aliases', async () => {
    using dir = tempDir()
    const team = `  aliases: ${source('convention: nisMailAlias')}\n`
    const config = await siteOf(dir, routed() + team, files)
    const report = await buildMap(config)
    assert.deepEqual([report.users, report.aliases, report.files], [5, 1, 2])
    const alias = 'aliases team@ ann@example.com bob@example.com'
    assert.deepEqual(saysOf(config), [alias, ...expected])
    assert.equal((await checkMap(config)).equal, true)
    assert.equal((await buildMap(config)).unchanged, true)
  })

  test('who has neither host nor address is refused where the config says so', async () => {
    using dir = tempDir()
    const reject = source('convention: inetLocalMailRecipient, no_host: reject')
    const config = await siteOf(dir, `  user_map: ${reject}\n`, files)
    await buildMap(config)
    const dora = 'user_map dora@example.com reject 550 5.1.1 No such user'
    assert.deepEqual(saysOf(config), [...expected, dora].toSorted())
  })

  test('filter and scope choose entries', async () => {
    using dir = tempDir()
    const options = `${plainAttributes}, filter: "(mail=dora*)", scope: one`
    const config = await siteOf(dir, `  user_map: ${source(options, 'ou=faults,')}\n`, files)
    await buildMap(config)
    assert.deepEqual(saysOf(config), ['user_map dora@example.com fritz'])
    const above = await siteOf(dir, `  user_map: ${source(options)}\n`, files)
    const none = ['1: the database gives nothing']
    assert.deepEqual(await failureOf(above), { code: 'MAP_INVALID', found: none })
  })

  test('all pages are read, also where the last one is empty', async () => {
    using dir = tempDir()
    assert.equal((await buildMap(await siteOf(dir, everybody(), files))).users, manyCount)
  })

  test('every bad entry is told by its name', async () => {
    using dir = tempDir()
    const config = await siteOf(
      dir,
      `  user_map: ${source(plainAttributes, 'ou=faults,')}\n`,
      files,
    )
    const { code, found } = await failureOf(config)
    assert.equal(code, 'MAP_INVALID')
    assert.deepEqual(found, [
      '1: ann@example.com: no back-end is called fritx, and none has it as its host',
      `2: "cn=b,ou=faults,${ldapBase}": there are several values of l`,
      `3: "cn=c,ou=faults,${ldapBase}": "x\\ny fritz" is no host`,
    ])
  })

  test('a connection that is cut anywhere publishes nothing', async () => {
    using dir = tempDir()
    await buildMap(await siteOf(dir, routed(), files))
    await using whole = await cutAfter(server.port, Number.POSITIVE_INFINITY)
    await checkMap(await siteOf(dir, everybody(whole.port), files))
    const total = whole.passedBytes
    assert.ok(total > 100_000, `${total} bytes`)
    for (const limit of [1, 14, 200, total >> 2, total >> 1, (total >> 1) + 100, total - 30]) {
      await using cut = await cutAfter(server.port, limit)
      const config = await siteOf(dir, everybody(cut.port), files)
      const { code, found } = await failureOf(config)
      assert.equal(code, 'MAP_SOURCE_UNAVAILABLE', `${limit}: ${found.join()}`)
      assert.deepEqual(saysOf(config), expected)
    }
  })

  test('a server that is down or silent is told as what may pass', async () => {
    using dir = tempDir()
    await using silent = await silentServer()
    const cases = [
      source(plainAttributes, '', 1),
      source(`${plainAttributes}, timeout: 700ms`, '', silent.port),
    ]
    for (const one of [...cases, (cases[1] ?? '').replace('timeout', 'tls: starttls, timeout')]) {
      const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${one}\n`, files))
      assert.equal(code, 'MAP_SOURCE_UNAVAILABLE', found.join())
      assert.equal(found.length, 1)
    }
  })

  test('what must be mended first is told as such, without the password', async () => {
    using dir = tempDir()
    const good = source(plainAttributes, 'ou=many,')
    const cases: readonly (readonly [string, RegExp])[] = [
      [good.replace('file: secret', 'file: wrong'), /bind_dn or its password is wrong/],
      [good.replace('ou=many', 'ou=nowhere'), /no such object \(LDAP result 32\)/],
      [good.replace('attributes', 'filter: "(mail=", attributes'), /: filter: /],
      [good.replace('ou=many', 'many'), /invalid dnsyntax \(LDAP result 34\)/],
      [good.replace(bind, 'scope: sub'), /insufficient access \(LDAP result 50\)/],
    ]
    for (const [one, text] of cases) {
      const config = await siteOf(dir, `  user_map: ${one}\n`, { ...files, wrong: 'hunter2' })
      const { code, found } = await failureOf(config)
      assert.equal(code, 'MAP_SOURCE_UNREADABLE', found.join())
      assert.match(found.join(), text)
      assert.doesNotMatch(found.join(), /hunter2|staple/)
    }
  })

  test('TLS is had by both ways, from the host that is named and vouched for alone', async () => {
    using dir = tempDir()
    const other = { ...files, 'other.pem': makeAuthority('other').ca }
    const start = source(`convention: inetLocalMailRecipient, tls: starttls, tls_ca: ca.pem`)
    const implicit = start
      .replace(', tls: starttls', '')
      .replace(`ldap://127.0.0.1:${server.port}`, `ldaps://127.0.0.1:${server.tlsPort}`)
    for (const way of [start, implicit]) {
      const good = way.replace('127.0.0.1', 'localhost')
      const report = await buildMap(await siteOf(dir, `  user_map: ${good}\n`, other))
      assert.equal(report.users, 5)
      for (const bad of [way, good.replace('ca.pem', 'other.pem')]) {
        const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${bad}\n`, other))
        assert.equal(code, 'MAP_SOURCE_UNREADABLE', found.join())
      }
    }
  })

  test('the command line builds, explains and refuses changes', async () => {
    using dir = tempDir()
    await siteOf(dir, routed(), files)
    const config = ['--config', dir.join('mailmux.yaml')]
    assert.equal((await runCommand(['build-map', ...config])).code, 0)
    const told = await runCommand(['explain', 'ann@example.com', ...config])
    assert.match(told.stdout, new RegExp(`ldap://127.0.0.1:${server.port}/${ldapBase}:\\d+:1`))
    const gone = await runCommand(['user', 'remove', 'ann@example.com', ...config])
    assert.equal(gone.code, 65, gone.stderr)
    assert.match(gone.stderr, /comes from a database \(ldap:/)
  })
})

/** What the pages of a server become. */
async function builtFrom(pages: readonly Page[], counted: readonly Page[] = pages) {
  using dir = tempDir()
  await using server = await pagedLdapServer(pages, counted)
  const options = 'base: "o=x", attributes: {key: mail, host: l}'
  const url = `ldap://127.0.0.1:${server.port}`
  const config = await siteOf(dir, `  user_map: {url: "${url}", ${options}}\n`)
  return await buildMap(config).then(
    () => saysOf(config).map((line) => line.split(/[ @]/)[1]),
    (error: { code: string; message: string }) => `${error.code} ${error.message.split('\n')[0]}`,
  )
}

test('an empty page before others is not taken for the last one', async () => {
  const answer = await builtFrom([['ann'], [], ['bob']])
  assert.match(
    String(answer),
    /^MAP_SOURCE_UNAVAILABLE .*1 entries and an empty page were read, and 1/,
  )
})

test('an empty page at the end is taken where counting finds no more', async () => {
  assert.deepEqual(await builtFrom([['ann'], ['bob'], []], [['ann', 'bob']]), ['ann', 'bob'])
  assert.match(String(await builtFrom([['ann'], []], [['ann', 'bob']])), /^MAP_SOURCE_UNAVAILABLE /)
})

test('what is kept on another server is not left out in silence', async () => {
  const answer = await builtFrom([['ann', { refersTo: 'ldap://other.example.com/o=y' }]])
  assert.match(
    String(answer),
    /^MAP_SOURCE_UNREADABLE .*refers to ldap:\/\/other\.example\.com\/o=y/,
  )
})

test('bytes that are no UTF-8 are refused', async () => {
  const answer = await builtFrom([[Buffer.from([0x61, 0xff, 0x62])]])
  assert.match(String(answer), /^MAP_INVALID .*the key is not UTF-8/)
})
