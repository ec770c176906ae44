import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type CommandResult, runCommand } from '../support/command.ts'
import { startDaemon } from '../support/daemon.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const config = `hostname: mx1.example.com
domains: [example.com]
state_dir: state
run_dir: run
backends:
  fritz: {host: 10.0.0.11, smtp: 25, imap: 143} # rack 1
  ingrid: {host: 10.0.0.12, smtp: 25, imap: 143}
map: {user_map: user_map, popmap: popmap, rules: rules, database: map.db}
`
const drained = config.replace('143} # rack 1', '143, state: draining} # rack 1')
const sources = {
  user_map: 'ann@example.com fritz\nbob@example.com ingrid\ncarl@example.com x@fritz\n',
  // Both of ann's lines are one user, dora's logins are there alone.
  popmap: 'ann@example.com:fritz\ndora@example.com:fritz\nbob@example.com:ingrid\n',
  rules: 'z-z fritz\ny-y reject 5.1.1 "nobody"\n* hash(fritz*2, ingrid)\n',
}

type Run = (...words: string[]) => Promise<CommandResult>

async function site(dir: TempDir, text = config): Promise<Run> {
  writeFileSync(dir.join('mailmux.yaml'), text)
  for (const [name, lines] of Object.entries(sources)) writeFileSync(dir.join(name), lines)
  const run: Run = (...words) => runCommand([...words, '--config', dir.join('mailmux.yaml')])
  const { code, stderr } = await run('build-map')
  assert.equal(code, 0, stderr)
  return run
}

/** Names that only the last rule places, some of them at each back-end. */
const byRule = Array.from({ length: 40 }, (_, number) => `n${number}@example.com`)

async function homes(run: Run, names: readonly string[]): Promise<string[]> {
  const { stdout } = await run('lookup', '--retrieval', ...names)
  return stdout.trim().split('\n')
}

test('a drain changes no route, whatever rules say, and no build does after it', async () => {
  using dir = tempDir()
  const run = await site(dir)
  const names = [...byRule, 'ann', 'bob', 'carl', 'dora', 'zoe']
  const before = await homes(run, names)
  assert.ok(before.some((line) => line.endsWith(': fritz')) && before.length === names.length)
  const { code, stdout } = await run('backend', 'drain', 'fritz')
  assert.equal(code, 0)
  assert.match(stdout, /^fritz: done, generation 2\n3 users left: /)
  assert.match(
    stdout,
    /^others may be there by rule \* hash\(fritz\*2, ingrid\) \(\S+rules:3:1\)$/m,
  )
  assert.equal(readFileSync(dir.join('mailmux.yaml'), 'utf8'), drained)
  assert.deepEqual(await homes(run, names), before)
  assert.equal((await run('build-map', '--check')).code, 0, 'the sources say what the map does')
  assert.equal((await run('build-map')).code, 0)
  assert.deepEqual(await homes(run, names), before)
  assert.equal((await run('backend', 'undrain', 'fritz')).code, 0)
  assert.equal(readFileSync(dir.join('mailmux.yaml'), 'utf8'), config)
  assert.deepEqual(await homes(run, names), before)
})

test('both commands may be run again, and know back-ends by name', async () => {
  using dir = tempDir()
  const run = await site(dir)
  const fresh = await run('backend', 'undrain', 'fritz')
  assert.deepEqual([fresh.code, fresh.stdout], [0, 'fritz takes new users already\n'])
  assert.equal((await run('backend', 'drain', 'fritz')).code, 0)
  const again = await run('backend', 'drain', 'fritz')
  assert.equal(again.code, 0)
  assert.match(again.stdout, /^fritz is being drained already\n3 users left/)
  assert.equal(readFileSync(dir.join('mailmux.yaml'), 'utf8'), drained)
  for (const command of ['drain', 'undrain']) {
    const { code, stderr } = await run('backend', command, 'fritzz')
    assert.equal(code, 67)
    assert.match(stderr, /no back-end is called fritzz: did you mean fritz\?/)
  }
  const last = await run('backend', 'drain', 'ingrid')
  assert.match(last.stderr, /no back-end takes new users any more/)
  assert.match((await run('map', 'history')).stdout, /backend drain fritz/)
})

test('who is to be moved is listed, once each, as migrate takes them', async () => {
  using dir = tempDir()
  const run = await site(dir)
  const { stdout } = await run('backend', 'drain', 'fritz', '--json')
  const report = JSON.parse(stdout) as { users: string[]; state: string }
  assert.equal(report.state, 'draining')
  assert.deepEqual(report.users.toSorted(), [
    'ann@example.com',
    'carl@example.com',
    'dora@example.com',
  ])
  const list = await run('backend', 'list')
  assert.match(list.stdout, /^fritz .* draining +3$/m)
  assert.match(list.stdout, /^ingrid .*imap 143$/m)
  const { backends } = JSON.parse((await run('backend', 'list', '--json')).stdout) as {
    backends: { state: string; left?: number }[]
  }
  assert.deepEqual(
    backends.map(({ state, left }) => [state, left]),
    [
      ['draining', 3],
      ['online', undefined],
    ],
  )
  assert.match(
    (await run('backend', 'show', 'fritz')).stdout,
    /^state +draining\nusers named there +3$/m,
  )
  assert.match((await run('explain', 'ann')).stdout, /imap: fritz 10\.0\.0\.11:143, being drained/)
  assert.doesNotMatch((await run('explain', 'bob')).stdout, /being drained/)
})

test('a new user without a back-end lives where rules say, but not on one that is drained', async () => {
  using dir = tempDir()
  const run = await site(dir)
  const [first = ''] = (await homes(run, byRule)).filter((line) => line.endsWith(': fritz'))
  const [name = ''] = first.split(': ')
  const zoe = await run('user', 'add', 'zoe')
  assert.match(zoe.stdout, /^zoe@example\.com lives on fritz\nzoe@example\.com: done/)
  assert.equal((await run('backend', 'drain', 'fritz')).code, 0)
  const added = await run('user', 'add', name)
  assert.match(added.stdout, new RegExp(`^${name} lives on ingrid\n`))
  assert.match(added.stderr, /a rule says fritz, which takes no new users: mail that is there/)
  assert.deepEqual(await homes(run, [name]), [`${name}: ingrid`])
  assert.match(readFileSync(dir.join('user_map'), 'utf8'), new RegExp(`^${name}\\s+ingrid$`, 'm'))
  const again = await run('user', 'add', 'ann')
  assert.deepEqual([again.code, again.stdout], [0, 'ann@example.com is there already\n'])
  for (const [user, message] of [
    ['zara', /rule z-z fritz \(\S+rules:1:1\) has no back-end for zara@example\.com/],
    ['yan', /rule y-y reject .* lets yan@example\.com live nowhere/],
  ] as const) {
    const { code, stderr } = await run('user', 'add', user)
    assert.equal(code, 65)
    assert.match(stderr, message)
  }
  assert.equal((await run('user', 'add', 'new', '--every-domain')).code, 2)
})

test('nobody new is sent to a drained back-end by name, and who is there may be written down', async () => {
  using dir = tempDir()
  const run = await site(dir, drained)
  const [first = ''] = (await homes(run, byRule)).filter((line) => line.endsWith(': fritz'))
  const [there = ''] = first.split(': ')
  assert.equal((await run('user', 'add', there, 'fritz')).code, 0)
  assert.equal((await run('user', 'add', 'ann', 'fritz')).code, 0)
  for (const words of [
    ['bob', 'fritz', '--replace'],
    ['bob', 'ingrid', '--retrieval', 'fritz', '--replace'],
  ]) {
    const { code, stderr } = await run('user', 'add', ...words)
    assert.equal(code, 65, words.join(' '))
    assert.match(stderr, /fritz takes no new users, it is being drained: `mailmux backend undrain/)
  }
  for (const words of [
    ['user', 'move', 'bob', '--to', 'fritz'],
    ['user', 'move', 'bob', '--to', 'fritz', '--dry-run'],
    ['migrate', '--from', 'ingrid', '--to', 'fritz', '--then', 'move'],
  ]) {
    const { code, stderr } = await run(...words)
    assert.equal(code, 65, words.join(' '))
    assert.match(stderr, /fritz takes no new users/)
  }
  for (const [name, text] of Object.entries({ popmap: sources.popmap })) {
    assert.equal(readFileSync(dir.join(name), 'utf8'), text)
  }
  writeFileSync(dir.join('names'), 'new@example.com OK\n')
  const file = dir.join('names')
  const imported = await run(
    'map',
    'import',
    'postfix-relay-recipients',
    file,
    '--backend',
    'fritz',
  )
  assert.match(imported.stderr, /fritz: it takes no new users, it is being drained/)
})

test('a daemon that has read the config says so', async () => {
  using dir = tempDir()
  const text = config.replace('state_dir: state\nrun_dir: run\n', '')
  const listening = `${text}listen: {imap: ["127.0.0.1:0"]}\nprobe_interval: 0s\n`
  await site(dir, `state_dir: state\n${listening}`)
  await using daemon = await startDaemon({ dir, config: listening })
  const status = async (): Promise<string> => (await daemon.command('status')).stdout
  assert.doesNotMatch(await status(), /new users/)
  assert.equal((await daemon.command('backend', 'drain', 'fritz')).code, 0)
  assert.equal((await daemon.command('reload')).code, 0)
  assert.match(await status(), /^fritz .*\n +takes no new users$/m)
  const { stdout } = await daemon.command('status', '--json')
  const { backends } = JSON.parse(stdout) as { backends: { state?: string }[] }
  assert.deepEqual(
    backends.map(({ state }) => state),
    ['draining', undefined],
  )
})
