/**
 * Debian's PostgreSQL, MariaDB and OpenLDAP, each in a folder of its own, on ports that were free.
 * As root they run as `nobody`, since not all of them would run as root. Whoever starts one ends it.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { freePorts } from '../../src/demo/free-port.ts'
import { endGroup } from '../../src/demo/process-group.ts'
import type { IssuedCertificate } from './certificates.ts'
import { type TempDir, tempDir } from './temp-dir.ts'

/** Of every Debian system. */
const nobody = { uid: 65534, gid: 65534 }
const owner = process.getuid?.() === 0 ? nobody : undefined
const [postgresFolder = '/usr/bin'] = globSync('/usr/lib/postgresql/*/bin').toSorted().toReversed()
const env = { ...process.env, PATH: `${process.env['PATH']}:${postgresFolder}:/usr/sbin:/sbin` }

/** For `skipWithout`: what must be there. */
export const databasePrograms = {
  postgres: `${postgresFolder}/postgres`,
  mariadb: 'mariadbd',
  openldap: 'slapd',
} as const

export const databasePassword = 'batt3ry staple'

export interface DatabaseServer extends AsyncDisposable {
  readonly port: number
  /** With TLS from the beginning; OpenLDAP alone has it. */
  readonly tlsPort: number
  /** The socket, or the folder that it is in. */
  readonly socket: string
}

interface Recipe {
  readonly program: string
  /** What it prints when it can be asked. */
  readonly ready: RegExp
  prepare(dir: TempDir): Promise<void>
  argumentsFor(dir: TempDir, ports: readonly [number, number]): readonly string[]
  socket(dir: TempDir): string
}

function put(dir: TempDir, name: string, text: string): string {
  const path = dir.join(name)
  writeFileSync(path, text, { mode: 0o600 })
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
  return path
}

function putCertificate(dir: TempDir, { cert, key }: IssuedCertificate): void {
  put(dir, 'cert.pem', cert)
  put(dir, 'key.pem', key)
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  await promisify(execFile)(program, [...args], { env, cwd: '/', timeout: 60_000, ...owner })
}

async function start(recipe: Recipe): Promise<DatabaseServer> {
  const dir = tempDir()
  chmodSync(dir.path, 0o755)
  mkdirSync(dir.join('data'), { mode: 0o700 })
  if (owner !== undefined)
    for (const path of [dir.path, dir.join('data')]) chownSync(path, owner.uid, owner.gid)
  await recipe.prepare(dir)
  for (let attempt = 1; ; attempt++) {
    const [port = 0, tlsPort = 0] = await freePorts(2)
    const child = spawn(recipe.program, recipe.argumentsFor(dir, [port, tlsPort]), {
      env,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      ...owner,
    })
    const complaint = await untilReady(child, recipe.ready)
    if (complaint === undefined) {
      // OpenLDAP says that it starts a moment before it listens.
      await untilListening(port)
      const end = async (): Promise<void> => {
        // PostgreSQL would wait for its clients, and the others take it as the end, too.
        child.kill('SIGINT')
        await endGroup(child)
        dir[Symbol.dispose]()
      }
      return { port, tlsPort, socket: recipe.socket(dir), [Symbol.asyncDispose]: end }
    }
    await endGroup(child)
    const isPortTaken = /in use|could not bind|bind\(/i.test(complaint)
    assert.ok(attempt < 3 && isPortTaken, `${recipe.program}: ${complaint}`)
  }
}

async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 10_000; tries++) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
  }
  assert.fail(`nobody listens on ${port}`)
}

/** What it said before it ended; undefined where it is ready. */
function untilReady(child: ChildProcess, ready: RegExp): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 100_000) said += text
    if (ready.test(said)) resolve(undefined)
  })
  child.once('exit', () => resolve(said))
  child.once('error', (error) => resolve(error.message))
  return promise
}

/** The superuser is `mailmux`, the database `postgres`; TCP asks for the password, the socket not. */
export function startPostgres(certificate: IssuedCertificate): Promise<DatabaseServer> {
  return start({
    program: databasePrograms.postgres,
    ready: /ready to accept connections/,
    async prepare(dir) {
      const secret = put(dir, 'secret', databasePassword)
      putCertificate(dir, certificate)
      const auth = ['--auth-host=scram-sha-256', '--auth-local=trust', `--pwfile=${secret}`]
      const quick = ['--no-sync', '--no-instructions', '--encoding=UTF8', '--locale=C']
      await run(
        `${postgresFolder}/initdb`,
        '-D',
        dir.join('data'),
        '-U',
        'mailmux',
        ...auth,
        ...quick,
      )
    },
    argumentsFor(dir, [port]) {
      const settings = {
        listen_addresses: '127.0.0.1',
        unix_socket_directories: dir.path,
        fsync: 'off',
        full_page_writes: 'off',
        shared_buffers: '16MB',
        ssl: 'on',
        ssl_cert_file: dir.join('cert.pem'),
        ssl_key_file: dir.join('key.pem'),
      }
      const words = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      return ['-D', dir.join('data'), '-p', String(port), ...words]
    },
    socket: (dir) => dir.path,
  })
}

/** The user `mailmux` owns the database `mail`; root of the socket needs no password. */
export function startMariadb(certificate: IssuedCertificate): Promise<DatabaseServer> {
  return start({
    program: databasePrograms.mariadb,
    ready: /ready for connections/,
    async prepare(dir) {
      putCertificate(dir, certificate)
      const words = ['--auth-root-authentication-method=normal', '--skip-test-db', '--basedir=/usr']
      const folders = [`--datadir=${dir.join('data')}`, `--tmpdir=${dir.path}`]
      await run('mariadb-install-db', '--no-defaults', ...folders, ...words)
      const sql = [
        'CREATE DATABASE mail CHARACTER SET utf8mb4;',
        `GRANT ALL ON mail.* TO mailmux@'%' IDENTIFIED BY '${databasePassword}';`,
      ]
      put(dir, 'init.sql', sql.join('\n'))
    },
    argumentsFor: (dir, [port]) => [
      '--no-defaults',
      '--basedir=/usr',
      `--datadir=${dir.join('data')}`,
      `--tmpdir=${dir.path}`,
      `--socket=${dir.join('socket')}`,
      `--pid-file=${dir.join('pid')}`,
      `--init-file=${dir.join('init.sql')}`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--skip-log-bin',
      '--innodb-flush-log-at-trx-commit=0',
      '--innodb-buffer-pool-size=16M',
      `--ssl-cert=${dir.join('cert.pem')}`,
      `--ssl-key=${dir.join('key.pem')}`,
    ],
    socket: (dir) => dir.join('socket'),
  })
}

export const ldapBase = 'dc=example,dc=com'
export const ldapAdmin = `cn=admin,${ldapBase}`

/** Attributes that Debian's schemas lack. */
const ownSchema = [
  'proxyAddresses',
  'mailAlternateAddress',
  'zimbraMailHost',
  'username',
  'mailhub',
]
  .map((name, index) => {
    const number = `1.3.6.1.4.1.99999.1.${index + 1}`
    return `attributetype ( ${number} NAME '${name}' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n`
  })
  .join('')

const slapdConfig = (dir: TempDir): string => `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/misc.schema
${ownSchema}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${dir.join('pid')}
TLSCertificateFile ${dir.join('cert.pem')}
TLSCertificateKeyFile ${dir.join('key.pem')}
sizelimit size=unlimited
database mdb
suffix "${ldapBase}"
rootdn "${ldapAdmin}"
rootpw "${databasePassword}"
directory ${dir.join('data')}
maxsize 1073741824
dbnosync
access to * by anonymous auth
`

/** Only its administrator sees entries; `ldif` is what it begins with. */
export function startOpenldap(
  certificate: IssuedCertificate,
  ldif: string,
): Promise<DatabaseServer> {
  return start({
    program: databasePrograms.openldap,
    ready: /slapd starting/,
    async prepare(dir) {
      putCertificate(dir, certificate)
      const config = put(dir, 'slapd.conf', slapdConfig(dir))
      const root = `dn: ${ldapBase}\nobjectClass: dcObject\nobjectClass: organization\no: example\n\n`
      await run('slapadd', '-q', '-f', config, '-l', put(dir, 'ldif', root + ldif))
    },
    argumentsFor: (dir, [port, tlsPort]) => [
      '-f',
      dir.join('slapd.conf'),
      '-h',
      `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`,
      '-d',
      'stats',
    ],
    socket: (dir) => dir.path,
  })
}
