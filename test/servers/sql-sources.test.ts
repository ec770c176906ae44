/** Maps from real PostgreSQL and MariaDB. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { addUser } from '../../src/map/edit/add-user.ts'
import { removeUser } from '../../src/map/edit/change-user.ts'
import { buildMap } from '../../src/map/build.ts'
import { checkMap } from '../../src/map/check-map.ts'
import { openCurrent } from '../../src/map/compared-map.ts'
import { type IssuedCertificate, makeAuthority } from '../support/certificates.ts'
import { runCommand } from '../support/command.ts'
import { answeringServer, cutAfter, silentServer } from '../support/cut-proxy.ts'
import {
  databasePassword,
  databasePrograms,
  type DatabaseServer,
  startMariadb,
  startPostgres,
} from '../support/database-server.ts'
import { failureOf, saysOf, siteOf } from '../support/database-site.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const authority = makeAuthority()
const users = `CREATE TABLE users (address VARCHAR(200), destination VARCHAR(200));
INSERT INTO users VALUES ('Ann@Example.com', 'fritz'), ('bob', 'b.ob@ingrid'),
 ('"c d"@example.com', 'fritz'), ('eva@example.net', 'error:5.1.6:551 gone'),
 ('j\u00f6rg', 'ingrid'), ('@example.net', '%1@example.com');
CREATE TABLE lists (name VARCHAR(200), target VARCHAR(200));
INSERT INTO lists VALUES ('team', 'bob'), ('team', 'ann'), ('all', 'team, "c d"@example.com');
CREATE TABLE faults (number INTEGER, address VARCHAR(200), destination VARCHAR(200));
INSERT INTO faults VALUES (1, 'ann', 'fritz'), (2, NULL, 'fritz'), (3, 'carl', NULL), (4, '', 'fritz'),
 (5, 'x', 'a\nb fritz'), (6, 'dora', 'fritx'), (7, '#x', 'nowhere'), (8, 'emil', '  '), (9, 'fin', 'ingrid')`

interface Kind {
  readonly name: string
  readonly program: string
  readonly scheme: string
  readonly database: string
  /** A query of `count` rows, the user-defined failure at row `at`. */
  many(count: number): string
  failing(at: number): string
  readonly slow: string
  start(certificate: IssuedCertificate): Promise<DatabaseServer>
  run(server: DatabaseServer, sql: string): Promise<void>
}

const certificate = authority.issue(['localhost'])

const kinds: readonly Kind[] = [
  {
    name: 'PostgreSQL',
    program: databasePrograms.postgres,
    scheme: 'postgres',
    database: 'postgres',
    many: (count) => `SELECT 'user' || n, 'fritz' FROM generate_series(1, ${count}) AS n`,
    failing: (at) =>
      `SELECT 'user' || n, CASE WHEN 1 / (n - ${at}) > 5 THEN '' ELSE 'fritz' END FROM generate_series(1, 20000) AS n`,
    slow: "SELECT 'ann', pg_sleep(60)::text",
    start: startPostgres,
    async run(server, sql) {
      const client = new pg.Client({
        host: server.socket,
        port: server.port,
        user: 'mailmux',
        database: 'postgres',
      })
      await client.connect()
      await client.query(sql)
      await client.end()
    },
  },
  {
    name: 'MariaDB',
    program: databasePrograms.mariadb,
    scheme: 'mariadb',
    database: 'mail',
    many: (count) => `SELECT CONCAT('user', seq), 'fritz' FROM seq_1_to_${count}`,
    failing: (at) =>
      `SELECT CONCAT('user', seq), IF(seq = ${at}, (SELECT s.seq FROM seq_1_to_2 s WHERE s.seq <= t.seq), 'fritz') FROM seq_1_to_20000 t`,
    slow: "SELECT 'ann', SLEEP(60)",
    start: startMariadb,
    async run({ socket }, sql) {
      const options = {
        socketPath: socket,
        user: 'root',
        database: 'mail',
        multipleStatements: true,
      }
      const connection = await createConnection({ ...options, charset: 'utf8mb4' })
      await connection.query(sql)
      await connection.end()
    },
  },
]

for (const kind of kinds) {
  describe(`a map from ${kind.name}`, { skip: skipWithout(kind.program) }, () => {
    let server: DatabaseServer
    before(async () => {
      server = await kind.start(certificate)
      await kind.run(server, users)
    })
    after(() => server[Symbol.asyncDispose]())

    const secret = { secret: `${databasePassword}\n`, 'ca.pem': authority.ca }

    /** The settings of one database, as they stand in braces. */
    const source = (query: string, options = '', port = server.port, host = '127.0.0.1'): string =>
      `{url: "${kind.scheme}://mailmux@${host}:${port}/${kind.database}", password_file: secret, query: ${JSON.stringify(query)}${options}}`

    const allUsers = 'SELECT address, destination FROM users'
    const expected = [
      'aliases all@ c d@example.com team',
      'aliases team@ ann bob',
      'user_map @example.net %1@example.com',
      'user_map ann@example.com fritz',
      'user_map bob@ b.ob@ingrid',
      'user_map c d@example.com fritz',
      'user_map eva@example.net reject 551 5.1.6 gone',
      'user_map j\u00f6rg@ ingrid',
    ]

    test('rows say what lines would', async () => {
      using dir = tempDir()
      const map = `  user_map: ${source(allUsers)}\n  aliases: ${source('SELECT name, target FROM lists')}\n`
      const config = await siteOf(dir, map, secret)
      const report = await buildMap(config)
      assert.deepEqual([report.users, report.aliases, report.files], [6, 2, 2])
      assert.deepEqual(saysOf(config), expected)
      using open = openCurrent(config)
      const row = [...open.records()].find(({ key }) => key === 'bob@')
      const label = `${kind.scheme}://127.0.0.1:${server.port}/${kind.database}`
      assert.deepEqual(row?.at, { file: label, line: 2, column: 1 })
    })

    test('the order of rows changes nothing, another row does', async () => {
      using dir = tempDir()
      const forms = ['ASC', 'DESC'].map((order) => `${allUsers} ORDER BY address ${order}`)
      const siteFor = (query: string) => siteOf(dir, `  user_map: ${source(query)}\n`, secret)
      const [forward = '', backward = ''] = forms
      await buildMap(await siteFor(forward))
      const turned = await siteFor(backward)
      assert.equal((await buildMap(turned)).unchanged, true)
      assert.equal((await checkMap(turned)).equal, true)
      const less = await siteFor(`${allUsers} WHERE address <> 'bob'`)
      assert.equal((await checkMap(less)).equal, false)
      assert.equal((await buildMap(less, { force: true })).unchanged, false)
    })

    test('logins come from a database as they do from text', async () => {
      using dir = tempDir()
      const query =
        "SELECT address, destination FROM users WHERE address = 'bob' UNION SELECT '*@example.net', 'ingrid'"
      const config = await siteOf(dir, `  popmap: ${source(query)}\n`, secret)
      await buildMap(config)
      assert.deepEqual(saysOf(config), ['popmap bob@ b.ob@ingrid'])
      using open = openCurrent(config)
      assert.equal(open.database.meta.patterns.length, 1)
    })

    test('every bad row is told with its number, and the old map stays in force', async () => {
      using dir = tempDir()
      await buildMap(await siteOf(dir, `  user_map: ${source(allUsers)}\n`, secret))
      const query = 'SELECT address, destination FROM faults ORDER BY number'
      const config = await siteOf(dir, `  user_map: ${source(query)}\n`, secret)
      const { code, found } = await failureOf(config)
      assert.equal(code, 'MAP_INVALID')
      assert.deepEqual(found, [
        '2: the key is NULL',
        '3: the value of "carl" is NULL',
        '4: the key of "" is empty',
        '5: the value of "x" has a control character',
        '6: dora: no back-end is called fritx, and none has it as its host',
        '7: #x: no back-end is called nowhere, and none has it as its host',
        '8: the value of "emil" is empty',
      ])
      assert.equal(saysOf(config).length, 6)
    })

    test('a query that fails half-way publishes nothing', async () => {
      using dir = tempDir()
      await buildMap(await siteOf(dir, `  user_map: ${source(allUsers)}\n`, secret))
      const config = await siteOf(dir, `  user_map: ${source(kind.failing(15_000))}\n`, secret)
      const { code, found } = await failureOf(config)
      assert.equal(code, 'MAP_SOURCE_UNREADABLE', found.join('\n'))
      assert.equal(found.length, 1)
      assert.equal(saysOf(config).length, 6)
    })

    test('a connection that is cut anywhere publishes nothing', async () => {
      using dir = tempDir()
      await buildMap(await siteOf(dir, `  user_map: ${source(allUsers)}\n`, secret))
      const query = kind.many(20_000)
      await using whole = await cutAfter(server.port, Number.POSITIVE_INFINITY)
      const { length } = saysOf(
        await siteOf(dir, `  user_map: ${source(query, '', whole.port)}\n`, secret),
      )
      await checkMap(await siteOf(dir, `  user_map: ${source(query, '', whole.port)}\n`, secret))
      const total = whole.passedBytes
      assert.ok(total > 200_000, `${total} bytes`)
      const cuts = [1, 60, 200, 400, total >> 2, total >> 1, total - 1000, total - 20]
      for (const limit of cuts) {
        await using cut = await cutAfter(server.port, limit)
        const config = await siteOf(dir, `  user_map: ${source(query, '', cut.port)}\n`, secret)
        const { code, found } = await failureOf(config)
        assert.equal(code, 'MAP_SOURCE_UNAVAILABLE', `${limit}: ${found.join()}`)
        assert.equal(saysOf(config).length, length)
      }
    })

    test('a server that is down, silent or slow is told as what may pass', async () => {
      using dir = tempDir()
      await using silent = await silentServer()
      const timeout = ', timeout: 700ms'
      const cases = [
        source(allUsers, '', 1),
        source(allUsers, timeout, silent.port),
        source(kind.slow, timeout),
      ]
      for (const one of cases) {
        const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${one}\n`, secret))
        assert.equal(code, 'MAP_SOURCE_UNAVAILABLE', found.join())
        assert.equal(found.length, 1)
      }
    })

    test('what must be mended first is told as such, without the password', async () => {
      using dir = tempDir()
      const cases: readonly (readonly [string, RegExp])[] = [
        [source('SELECT nothing FROM nowhere'), /nowhere/],
        [source('SELECT address FROM users'), /1 column/],
        [source('SELECT address, destination, 1 FROM users'), /3 columns/],
        [source(allUsers).replace('secret', 'wrong'), /password|denied/],
        [source(allUsers).replace('secret', 'missing'), /missing: cannot be read/],
        [source(allUsers).replace('secret', 'empty'), /no password/],
        [
          source(allUsers).replace('secret', '$CREDENTIALS_DIRECTORY/db'),
          /systemd gave .* no such/,
        ],
      ]
      const files = { ...secret, wrong: 'hunter2', empty: '\n' }
      for (const [one, expectedText] of cases) {
        const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${one}\n`, files))
        assert.equal(code, 'MAP_SOURCE_UNREADABLE', found.join())
        assert.match(found.join(), expectedText)
        assert.doesNotMatch(found.join(), /hunter2|staple/)
      }
    })

    test('no row at all is an error', async () => {
      using dir = tempDir()
      const none = source(`${allUsers} WHERE 1 = 0`)
      const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${none}\n`, secret))
      assert.deepEqual([code, found], ['MAP_INVALID', ['1: the database gives nothing']])
    })

    test('TLS is had from a server that its authority vouches for, and from no other', async () => {
      using dir = tempDir()
      const files = { ...secret, 'other.pem': makeAuthority('other').ca }
      const good = source(allUsers, ', tls: starttls, tls_ca: ca.pem', server.port, 'localhost')
      await buildMap(await siteOf(dir, `  user_map: ${good}\n`, files))
      const bad = good.replace('ca.pem', 'other.pem')
      const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${bad}\n`, files))
      assert.equal(code, 'MAP_SOURCE_UNREADABLE', found.join())
    })

    test('a certificate of another host is not taken', async () => {
      using dir = tempDir()
      await using other = await kind.start(authority.issue(['db.example.com']))
      const options = ', tls: starttls, tls_ca: ca.pem'
      const one = source(allUsers, options, other.port, 'localhost')
      const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${one}\n`, secret))
      assert.equal(code, 'MAP_SOURCE_UNREADABLE', found.join())
      assert.match(found.join(), /altnames|certificate/)
    })

    test('a local socket is asked without a password', async () => {
      using dir = tempDir()
      const user = kind.scheme === 'postgres' ? 'mailmux' : 'root'
      const url = `${kind.scheme}://${user}@localhost:${server.port}/${kind.database}`
      const one = `{url: "${url}", socket: ${server.socket}, query: "${allUsers}"}`
      const report = await buildMap(await siteOf(dir, `  user_map: ${one}\n`))
      assert.equal(report.users, 6)
    })

    test('a user of a database is changed there, others in the text beside it', async () => {
      using dir = tempDir()
      const files = { ...secret, users: 'gus@example.com fritz\n' }
      const config = await siteOf(dir, `  user_map: [users, ${source(allUsers)}]\n`, files)
      await buildMap(config)
      const request = { everyDomain: false, retrieval: undefined, value: 'ingrid' }
      const comes = { code: 'CHANGE_REFUSED', message: /comes from a database \(\w+:\/\// }
      const ann = { ...request, name: 'ann@example.com', replace: true }
      await assert.rejects(addUser(config, ann), comes)
      await assert.rejects(removeUser(config, 'ann@example.com', false), comes)
      await addUser(config, { ...request, name: 'hal@example.com', replace: false })
      await removeUser(config, 'gus@example.com', false)
      assert.equal((await checkMap(config)).equal, true)
      assert.ok(saysOf(config).includes('user_map hal@example.com ingrid'))
    })

    test('where there is no text, a new user is refused with the way to do it', async () => {
      using dir = tempDir()
      const config = await siteOf(dir, `  user_map: ${source(allUsers)}\n`, secret)
      await buildMap(config)
      const request = { everyDomain: false, retrieval: undefined, value: 'ingrid', replace: false }
      await assert.rejects(addUser(config, { ...request, name: 'hal' }), {
        code: 'CHANGE_REFUSED',
        message: /map\.user_map comes from \w+:\/\/.*build-map/,
      })
    })

    test('who is in text and in a database is an error, whatever is said there', async () => {
      using dir = tempDir()
      const files = { ...secret, users: 'ann@example.com fritz\n' }
      const config = await siteOf(dir, `  user_map: [users, ${source(allUsers)}]\n`, files)
      const { code, found } = await failureOf(config)
      assert.equal(code, 'MAP_INVALID')
      assert.match(found.join(), /^1: ann@example.com is in text and in a database: /)
    })

    test('the command line tells the place and the exit status, and no secret', async () => {
      using dir = tempDir()
      await siteOf(dir, `  user_map: ${source(allUsers, '', 1)}\n`, secret)
      const down = await runCommand(['build-map', '--json', '--config', dir.join('mailmux.yaml')])
      assert.equal(down.code, 75)
      const { error } = JSON.parse(down.stdout) as { error: { code: string } }
      assert.equal(error.code, 'MAP_SOURCE_UNAVAILABLE')
      assert.doesNotMatch(down.stdout + down.stderr, /staple/)
      await siteOf(dir, `  user_map: ${source(allUsers)}\n`, secret)
      const config = ['--config', dir.join('mailmux.yaml')]
      assert.equal((await runCommand(['build-map', ...config])).code, 0)
      const told = await runCommand(['explain', 'bob@example.com', ...config])
      assert.match(
        told.stdout,
        new RegExp(`${kind.scheme}://127.0.0.1:${server.port}/${kind.database}:2:1`),
      )
      writeFileSync(dir.join('secret'), 'changed')
      assert.equal((await runCommand(['build-map', '--check', ...config])).code, 78)
    })
  })
}

test('PostgreSQL without TLS is not asked without it', async () => {
  using dir = tempDir()
  // What a server without TLS answers to the question for it.
  await using plain = await answeringServer(Buffer.from('N'))
  const url = `postgres://mailmux@localhost:${plain.port}/mail`
  const one = `{url: "${url}", tls: starttls, query: SELECT 1}`
  const { code, found } = await failureOf(await siteOf(dir, `  user_map: ${one}\n`))
  assert.deepEqual(
    [code, found],
    ['MAP_SOURCE_UNREADABLE', ['1: The server does not support SSL connections']],
  )
})
