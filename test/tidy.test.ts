/** The house rules that the linter cannot say, as tests. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'

/** Which rooms a room may import besides its own; `:types` where only types. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  mail: ['base'],
  storage: ['base'],
  config: ['base', 'mail'],
  protocol: ['base', 'mail', 'config:types'],
  net: ['base', 'config:types'],
  map: ['base', 'mail', 'config:types', 'storage'],
  backend: ['base', 'mail', 'protocol', 'net', 'config:types'],
  spool: ['base', 'mail', 'storage'],
  control: ['base', 'mail', 'net', 'config:types'],
  migrate: ['base', 'mail', 'config:types', 'map', 'storage', 'backend', 'control'],
  daemon: [
    'base',
    'mail',
    'protocol',
    'config',
    'storage',
    'map',
    'net',
    'spool',
    'backend',
    'control',
  ],
  demo: ['base', 'mail', 'config', 'map', 'net', 'control'],
  cli: ['base', 'config'],
  commands: [
    'cli',
    'daemon',
    'migrate',
    'control',
    'map',
    'spool',
    'backend',
    'config',
    'mail',
    'base',
    'demo',
  ],
}

/** What only one room may touch: module → rooms. */
const doors: Readonly<Record<string, readonly string[]>> = {
  'node:net': ['net', 'control', 'daemon', 'backend', 'demo'],
  'node:tls': ['net', 'daemon'],
  'node:http': ['daemon'],
  'node:child_process': ['daemon', 'demo'],
  'node:cluster': ['daemon'],
  'node:worker_threads': ['map', 'daemon'],
  chalk: ['cli'],
  inquirer: ['cli'],
  '@oclif/core': ['cli', 'commands'],
  imapflow: ['demo', 'migrate'],
  ldapts: ['map', 'daemon'],
  mysql2: ['map'],
  pg: ['map'],
  'pg-cursor': ['map'],
  'nodemailer/lib/mime-node': ['spool'],
  re2js: ['map'],
  tr46: ['mail'],
  'ipaddr.js': ['mail'],
  yaml: ['config'],
  pino: ['daemon'],
  'prom-client': ['daemon'],
}

/** Client libraries that one file each knows: what they throw is translated there. */
const oneFileEach: Readonly<Record<string, readonly string[]>> = {
  imapflow: ['src/migrate/imap-client.ts'],
  // Entries for a build, and passwords for a login.
  ldapts: ['src/map/sources/ldap.ts', 'src/daemon/login/ldap-bind.ts'],
  mysql2: ['src/map/sources/mysql.ts'],
  pg: ['src/map/sources/postgres.ts'],
  'pg-cursor': ['src/map/sources/postgres.ts'],
  bcryptjs: ['src/daemon/login/password-hash.ts'],
  unixcrypt: ['src/daemon/login/password-hash.ts'],
}

const pureRooms = new Set(['base', 'mail', 'protocol'])
const impure =
  /\bfrom 'node:(?!buffer')|\b(?:process|setTimeout|setInterval|setImmediate|fetch)\b[.(]|\bMath\.random\(|\bDate\.now\(|\bnew Date\(\)/

interface Import {
  readonly specifier: string
  readonly typeOnly: boolean
}

const files = globSync('src/**/*.ts')

function roomOf(file: string): string {
  return file.split('/')[1] ?? ''
}

function textOf(file: string): string {
  return readFileSync(file, 'utf8')
}

function codeOf(file: string): string {
  return textOf(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}

function importsOf(file: string): Import[] {
  const found = textOf(file).matchAll(
    /^(?:import|export)\s+(type\s+)?([^'"]*?from\s+)?'([^']+)'|import\('([^']+)'\)/gm,
  )
  return [...found].map(([, type, names = '', fixed, dynamic]) => ({
    specifier: fixed ?? dynamic ?? '',
    typeOnly: type !== undefined || /^\{(?:\s*type\s+\w+,?)+\s*\}\s*from\s+$/.test(names),
  }))
}

test('there is source to check', () => {
  assert.ok(files.length > 25, `${files.length} files`)
})

test('a room imports from itself and from the rooms that its row names', () => {
  for (const file of files) {
    const room = roomOf(file)
    const allowed = mayImport[room]
    assert.ok(allowed, `${file}: ${room} is no room of the house`)
    for (const { specifier, typeOnly } of importsOf(file)) {
      if (!specifier.startsWith('.')) continue
      const target = roomOf(new URL(specifier, `file:///${file}`).pathname.slice(1))
      const open: boolean =
        target === room ||
        allowed.includes(target) ||
        (typeOnly && allowed.includes(`${target}:types`))
      assert.ok(open, `${file} must not import ${specifier}`)
    }
  }
})

test('dangerous modules are imported in their own rooms only', () => {
  for (const file of files) {
    for (const { specifier, typeOnly } of importsOf(file)) {
      const rooms = doors[specifier]
      const open: boolean = rooms === undefined || typeOnly || rooms.includes(roomOf(file))
      assert.ok(open, `${file} must not import ${specifier}`)
    }
  }
})

/** It reads mailboxes as a mail program of its own. */
const apart = 'src/demo/read-mailbox.ts'

test('a client library is imported by its own file, and one of databases loaded when it is needed', () => {
  for (const file of files.filter((name) => name !== apart)) {
    for (const { specifier } of importsOf(file)) {
      const own = oneFileEach[specifier]
      assert.ok(own === undefined || own.includes(file), `${file} must not import ${specifier}`)
    }
    const loadsEagerly = /^import .*\/(?:ldap|mysql|postgres)\.ts'/m.test(codeOf(file))
    assert.ok(!loadsEagerly, `${file}: import() it where a database is read`)
  }
})

test('pure rooms touch no socket, file, clock or random', () => {
  for (const file of files.filter((name) => pureRooms.has(roomOf(name)))) {
    assert.doesNotMatch(codeOf(file), impure, file)
  }
})

test('files are kebab-case and at most 300 lines', () => {
  for (const file of files) {
    assert.match(basename(file), /^[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/, file)
    const lines = textOf(file).split('\n').length - 1
    assert.ok(lines <= 300, `${file} has ${lines} lines`)
    assert.doesNotMatch(file, /(?:utils?|helpers?|common|misc|index)\.ts$/)
  }
})

test('commands are thin', () => {
  for (const file of globSync('src/commands/**/*.ts')) {
    const lines = textOf(file).split('\n').length - 1
    assert.ok(lines <= 80, `${file} has ${lines} lines`)
  }
})

test('nothing is left for later without an issue number', () => {
  for (const file of [...files, ...globSync('test/**/*.ts'), ...globSync('bench/**/*.ts')]) {
    if (file.endsWith('tidy.test.ts')) continue
    assert.doesNotMatch(
      textOf(file),
      /\b(?:TODO|FIXME|XXX)\b(?!.*#\d)|\.only\(|@ts-(?:ignore|nocheck)/,
      file,
    )
  }
})

test('only commands have a default export', () => {
  for (const file of files) {
    if (roomOf(file) !== 'commands') assert.doesNotMatch(codeOf(file), /^export default/m, file)
  }
})
