import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { configSchema } from '../../src/config/schema.ts'
import { bin as program, runCommand } from '../support/command.ts'
import { tempDir } from '../support/temp-dir.ts'

const good =
  'hostname: mx.example.com\ndomains: [example.com]\nbackends: {fritz: {host: h, imap: 1}}\n'

test('a good config is called good', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('mailmux.yaml'), good)
  const { code, stdout, stderr } = await runCommand(['config', 'check'], { cwd: dir.path })
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /mailmux\.yaml: good; 1 back-end, 0 listeners\n$/)
})

test('a bad config ends with 78, a line for each problem and one for what to do', async () => {
  using dir = tempDir()
  const file = dir.join('mailmux.yaml')
  writeFileSync(file, `${good}smarthosts: fritz\nworkers: 0\n`)
  const { code, stdout, stderr } = await runCommand(['config', 'check', '--config', file])
  assert.deepEqual([code, stdout], [78, ''])
  assert.deepEqual(stderr.replaceAll(file, 'F').split('\n'), [
    'F:4:1: error: smarthosts: unknown key; did you mean smarthost?',
    'F:5:10: error: workers: must be auto, or a number from 1 to 256',
    'mailmux: F: 2 problems; mend the places named; the schema is printed by `mailmux config schema`',
    '',
  ])
})

test('under --json a failure is an object with a stable code and the problems with places', async () => {
  using dir = tempDir()
  const file = dir.join('mailmux.yaml')
  writeFileSync(file, `${good}smarthosts: fritz\n`)
  const { code, stdout } = await runCommand(['config', 'check', '--json', '--config', file])
  const { error } = JSON.parse(stdout) as { error: { code: string; problems: { at: object }[] } }
  assert.equal(code, 78)
  assert.equal(error.code, 'CONFIG_INVALID')
  assert.deepEqual(error.problems[0]?.at, { file, line: 4, column: 1 })
})

test('a config that is not there is named', async () => {
  const { code, stderr } = await runCommand([
    'config',
    'check',
    '--config',
    '/nowhere/mailmux.yaml',
  ])
  assert.equal(code, 78)
  assert.match(stderr, /^mailmux: \/nowhere\/mailmux\.yaml: ENOENT/)
})

test('without a config file the places that were looked at are named', async () => {
  using dir = tempDir()
  const { code, stderr } = await runCommand(['config', 'check'], { cwd: dir.path })
  assert.equal(code, 78)
  assert.match(stderr, /no config file found; give --config FILE, set MAILMUX_CONFIG/)
})

test('the schema is printed as JSON', async () => {
  const { stdout } = await runCommand(['config', 'schema'])
  assert.deepEqual(JSON.parse(stdout), configSchema)
})

test('wrong usage ends with 2', async () => {
  const { code, stderr } = await runCommand(['config', 'check', '--nonsense'])
  assert.equal(code, 2)
  assert.match(stderr, /Nonexistent flag: --nonsense/)
})

test('a word that is no command ends with 2, and the nearest command is named', async () => {
  const { code, stdout, stderr } = await runCommand(['lokup', 'ann@example.com'])
  assert.deepEqual([code, stdout], [2, ''])
  assert.equal(
    stderr,
    'mailmux: no such command: lokup ann@example.com; did you mean lookup? else see mailmux help\n',
  )
  const asJson = await runCommand(['usr', 'list', '--json'])
  assert.equal(asJson.code, 2)
  const { error } = JSON.parse(asJson.stdout) as { error: { code: string; message: string } }
  assert.deepEqual([error.code, error.message], ['USAGE', 'no such command: usr list'])
})

test('an old Node is told in one line what is needed and how to get it', async (t) => {
  const old = process.env['MAILMUX_OLD_NODE'] ?? '/usr/bin/node'
  const run = promisify(execFile)
  const version = await run(old, ['-p', 'process.versions.node']).catch(() => undefined)
  if (version === undefined || Number.parseInt(version.stdout, 10) >= 24) {
    t.skip('no Node older than 24 on this machine')
    return
  }
  for (const bin of ['bin/run.js', 'bin/dev.js']) {
    const failed = await run(old, [bin, '--version']).catch((error: unknown) => error)
    const { code, stderr } = failed as { code: number; stderr: string }
    assert.equal(code, 69)
    assert.match(
      stderr,
      /^mailmux: needs Node\.js 24\.15 or newer, this is [\d.]+; install it .*\n$/,
    )
  }
})

test('a reader that has seen enough ends a command without a word', async () => {
  using dir = tempDir()
  writeFileSync(
    dir.join('mailmux.yaml'),
    `${good}map: {rules: rules, database: map.db}\nstate_dir: .\n`,
  )
  writeFileSync(dir.join('rules'), '* fritz\n')
  const shell = [
    'node="$0"; bin="$1"; "$node" "$bin" build-map >/dev/null || exit 1',
    'yes ann@example.com | head -n 200000 | "$node" "$bin" lookup - | head -n 1',
    '"$node" "$bin" map import --help | true',
    '"$node" "$bin" map import --help 2>&1 >/dev/null | true',
  ].join('\n')
  const run = promisify(execFile)
  const { stdout, stderr } = await run('sh', ['-c', shell, process.execPath, program], {
    cwd: dir.path,
  })
  assert.deepEqual([stdout, stderr], ['ann@example.com: fritz\n', ''])
})

test('a config that may not be read, leads to nothing or is no file is told of, not passed by', async () => {
  using dir = tempDir()
  const file = dir.join('mailmux.yaml')
  const check = async (...args: string[]): Promise<[number, string]> => {
    const { code, stderr } = await runCommand(['config', 'check', ...args], { cwd: dir.path })
    return [code, stderr.replaceAll(file, 'F').split(';')[0] ?? '']
  }
  symlinkSync(dir.join('gone'), file)
  const [code, text] = await check()
  assert.deepEqual([code, text.slice(0, 18)], [78, 'mailmux: F: ENOENT'])
  rmSync(file)
  execFileSync('mkfifo', [file])
  assert.deepEqual(await check(), [78, 'mailmux: F: not a regular file'])
  assert.deepEqual(await check('--config', '/dev/zero'), [
    78,
    'mailmux: /dev/zero: not a regular file',
  ])
  rmSync(file)
  mkdirSync(file)
  assert.deepEqual(await check(), [
    78,
    'mailmux: F: EISDIR: illegal operation on a directory, read',
  ])
})

test('a config comes through a pipe of the shell, too', async () => {
  const run = promisify(execFile)
  const script = '"$0" "$1" config check --config <(printf %s "$2")'
  const { stdout } = await run('bash', ['-c', script, process.execPath, program, good])
  assert.match(stdout, /: good; 1 back-end, 0 listeners\n$/)
})
