import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { ProbeReport } from '../../src/backend/probe.ts'
import { runCommand } from '../support/command.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const head = 'hostname: mx1.example.com\ndomains: [example.com]\nstate_dir: state\n'

test('back-ends are added and removed in the config, unless somebody is there', async () => {
  using dir = tempDir()
  const file = dir.join('mailmux.yaml')
  const run = (...words: string[]) => runCommand([...words, '--config', file])
  const text = `${head}backends:\n  fritz: {host: 10.0.0.11, smtp: 25} # rack 1\nmap: {user_map: user_map, rules: rules, database: map.db}\n`
  writeFileSync(file, text)
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  writeFileSync(dir.join('rules'), '* fritz\n')
  assert.equal((await run('build-map')).code, 0)
  const ports = ['--lmtp', '24', '--imap', '143', '--submission', '587']
  const added = await run('backend', 'add', 'ingrid', '10.0.0.12', ...ports)
  assert.deepEqual([added.code, added.stdout], [0, 'ingrid: done, generation 2\n'])
  assert.equal(
    readFileSync(file, 'utf8'),
    text.replace(
      '# rack 1\n',
      '# rack 1\n  ingrid: {host: 10.0.0.12, lmtp: 24, imap: 143, submission: 587}\n',
    ),
  )
  assert.match(
    (await run('backend', 'list')).stdout,
    /^ingrid +10\.0\.0\.12 +lmtp 24, imap 143, submission 587$/m,
  )
  assert.equal((await run('backend', 'add', 'fritz', 'h', '--smtp', '25')).code, 65)
  assert.equal((await run('backend', 'remove', 'nobody')).code, 67)

  assert.equal((await run('user', 'add', 'zoe', 'ingrid')).code, 0, 'no build was needed')
  const used = await run('backend', 'remove', 'ingrid')
  assert.equal(used.code, 65)
  assert.match(used.stderr, /ingrid is in use: zoe@example\.com; nothing was changed/)
  assert.match((await run('backend', 'show', 'ingrid')).stdout, /^lines of user_map +1$/m)
  assert.match((await run('backend', 'remove', 'fritz')).stderr, /rule \* fritz \(\S+rules:1:1\)/)
  assert.equal((await run('user', 'remove', 'zoe')).code, 0)
  assert.equal((await run('backend', 'remove', 'ingrid')).code, 0)
  assert.equal(readFileSync(file, 'utf8'), text)
})

test('a back-end that would make other sense of the sources is refused, or told of', async () => {
  using dir = tempDir()
  const file = dir.join('mailmux.yaml')
  const run = (...words: string[]) => runCommand([...words, '--config', file])
  const text = `${head}smarthost: fritz\nbackends:\n  fritz: {host: 10.0.0.11, smtp: 25}\nmap: {user_map: user_map, aliases: aliases, database: map.db}\n`
  writeFileSync(file, text)
  writeFileSync(dir.join('user_map'), 'ann@example.com 10.0.0.11\nbob bob@forward.example.org\n')
  writeFileSync(dir.join('aliases'), 'list: all@lists.example.org\n')
  assert.equal((await run('build-map')).code, 0)
  const several = await run('backend', 'add', 'paul', '10.0.0.11', '--smtp', '2025')
  assert.equal(several.code, 65)
  assert.match(
    several.stderr,
    /user_map:1:17: error: 10\.0\.0\.11 is the host of several back-ends/,
  )
  const target = await run('backend', 'add', 'lists', 'lists.example.org', '--smtp', '25')
  assert.equal(target.code, 65)
  assert.match(target.stderr, /aliases:1:7: error: "all@lists\.example\.org" names a back-end/)
  assert.equal(readFileSync(file, 'utf8'), text)
  const other = await run('backend', 'add', 'forward', 'forward.example.org', '--smtp', '25')
  assert.equal(other.code, 0)
  assert.match(other.stderr, /lines of the sources mean something else with it/)
  const plain = await run('backend', 'add', 'new', '10.0.0.13', '--smtp', '25')
  assert.deepEqual([plain.code, plain.stderr], [0, ''], 'only what it does itself is told')

  writeFileSync(dir.join('user_map'), 'ann@example.com heinrich\n')
  const wanted = await run('backend', 'add', 'heinrich', '10.0.0.14', '--smtp', '25')
  assert.deepEqual([wanted.code, wanted.stderr], [0, ''], 'a source may wait for it')
})

async function imapBackend(peer: Peer): Promise<void> {
  peer.send('* OK ready\r\n')
  assert.equal(await peer.line(), 'A CAPABILITY')
  peer.send('* CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN AUTH=SCRAM-SHA-256\r\nA OK done\r\n')
}

async function smtpBackend(peer: Peer): Promise<void> {
  peer.send('220-one moment\r\n220 ready\r\n')
  assert.equal(await peer.line(), 'EHLO mx1.example.com')
  peer.send('250-fritz.example.com\r\n250-SIZE 100\r\n250 AUTH PLAIN LOGIN\r\n')
}

async function sieveBackend(peer: Peer): Promise<void> {
  peer.send('"IMPLEMENTATION" "x y"\r\n"sieve" "fileinto reject"\r\n"STARTTLS"\r\nOK\r\n')
  assert.equal(await peer.line(), 'LOGOUT')
}

async function hostile(peer: Peer): Promise<void> {
  peer.send('554 go \u001b[31maway\r\n')
  await peer.line()
}

test('backend check asks every port, and says what is wrong with each', async () => {
  using dir = tempDir()
  await using imap = await ScriptedBackend.start(imapBackend)
  await using smtp = await ScriptedBackend.start(smtpBackend)
  await using sieve = await ScriptedBackend.start(sieveBackend)
  await using bad = await ScriptedBackend.start(hostile)
  const file = dir.join('mailmux.yaml')
  writeFileSync(
    file,
    `${head}limits: {connect_timeout: 2s}
backends:
  fritz: {host: 127.0.0.1, imap: ${imap.port}, smtp: ${smtp.port}, sieve: ${sieve.port}, submission: ${smtp.port}}
  ingrid: {host: 127.0.0.1, lmtp: ${bad.port}, imap: 1, sieve: ${bad.port}}
`,
  )
  const { code, stdout } = await runCommand(['backend', 'check', '--json', '--config', file])
  assert.equal(code, 69)
  const { checks } = JSON.parse(stdout) as { checks: ProbeReport[] }
  const of = (backend: string, protocol: string) =>
    checks.find((one) => one.backend === backend && one.protocol === protocol)
  const offered = ['IMAP4rev1', 'IDLE', 'AUTH=PLAIN', 'AUTH=SCRAM-SHA-256']
  assert.deepEqual(of('fritz', 'imap')?.capabilities, offered)
  assert.deepEqual(of('fritz', 'imap')?.mechanisms, ['PLAIN', 'SCRAM-SHA-256'])
  assert.deepEqual(of('fritz', 'smtp')?.capabilities, ['SIZE 100', 'AUTH PLAIN LOGIN'])
  assert.deepEqual(of('fritz', 'submission')?.mechanisms, ['PLAIN', 'LOGIN'])
  const listed = ['IMPLEMENTATION x y', 'SIEVE fileinto reject', 'STARTTLS']
  assert.deepEqual(of('fritz', 'sieve')?.capabilities, listed)
  assert.equal(of('ingrid', 'sieve')?.problem, 'greeting: 554 go \\x1b[31maway')
  assert.equal(of('ingrid', 'lmtp')?.problem, 'greeting: 554 go \\x1b[31maway')
  assert.match(of('ingrid', 'imap')?.problem ?? '', /^connect: .*ECONNREFUSED/)
  const one = await runCommand(['backend', 'check', 'fritz', '--config', file])
  assert.equal(one.code, 0)
  assert.match(
    one.stdout,
    /^fritz +imap +127\.0\.0\.1:\d+ +none +\d+ +PLAIN SCRAM-SHA-256 +IMAP4rev1, IDLE, AUTH=PLAIN, AUTH=SCRAM-SHA-256$/m,
  )
  assert.equal((await runCommand(['backend', 'check', 'x', '--config', file])).code, 67)
})
