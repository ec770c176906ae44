import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { runCommand } from '../support/command.ts'
import { tempDir } from '../support/temp-dir.ts'

test('a popmap becomes ours, with the back-ends that the config lacks', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('old'), 'nora:imap1.example.org\nli:liwei@imap2.example.org:1143\nbad\n')
  const run = (...words: string[]) => runCommand(['map', 'import', ...words], { cwd: dir.path })
  const read = await run('perdition-popmap', 'old')
  assert.deepEqual([read.code, read.stdout], [65, 'nora:imap1\nli:liwei@imap2\n'])
  assert.deepEqual(read.stderr.split('\n'), [
    'old:3:1: bad: it is not key:[user@]host[:port]',
    'for backends in mailmux.yaml:',
    '  imap1: {host: "imap1.example.org", smtp: 25, imap: 143}',
    '  imap2: {host: "imap2.example.org", imap: 1143}',
    '',
  ])
  const stored = await run('perdition-popmap', 'old', '--into', 'new', '--partial')
  assert.deepEqual([stored.code, stored.stdout], [0, 'written: new/popmap\n'])
  assert.equal(readFileSync(dir.join('new/popmap'), 'utf8'), read.stdout)
  const again = await run('perdition-popmap', 'old', '--into', 'new')
  assert.equal(again.code, 65)
  assert.match(again.stderr, /new\/popmap is there already: --force replaces it/)
  assert.equal((await run('perdition-popmap', 'old', '--into', 'new', '--force')).code, 65)
  const json = JSON.parse((await run('perdition-popmap', 'old', '--json')).stdout) as {
    sources: Record<string, string>
    notes: { at: { line: number } }[]
  }
  assert.deepEqual([Object.keys(json.sources), json.notes[0]?.at.line], [['popmap'], 3])
  assert.equal((await run('perdition-popmap', 'none')).code, 78)
  assert.equal((await run('no-such-form', 'old')).code, 2)
})

test('a map that is exported says on stderr what it leaves out', async () => {
  using dir = tempDir()
  writeFileSync(
    dir.join('mailmux.yaml'),
    `hostname: mx1.example.com
domains: [example.com]
backends: {fritz: {host: 10.0.0.11, lmtp: 24, imap: 143}}
map: {user_map: user_map, aliases: aliases, rules: rules, database: map.db}
state_dir: state
`,
  )
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  writeFileSync(dir.join('aliases'), 'info: ann\n')
  writeFileSync(dir.join('rules'), 'b-c fritz\n')
  const run = (...words: string[]) => runCommand(words, { cwd: dir.path })
  assert.equal((await run('build-map')).code, 0)
  assert.equal((await run('user', 'add', 'zoe', 'fritz')).code, 0)
  const out = await run('map', 'export', 'postfix-transport')
  assert.deepEqual(
    [out.code, out.stdout],
    [65, 'ann@example.com\tlmtp:inet:[10.0.0.11]:24\nzoe@example.com\tlmtp:inet:[10.0.0.11]:24\n'],
  )
  assert.match(out.stderr, /rules:1:1: b-c fritz: transport has domains and \* only/)
  assert.match(out.stderr, /^info: aliases need postfix-virtual$/m)
  assert.equal((await run('map', 'export', 'postfix-transport', '--partial')).code, 0)
  const whole = await run('map', 'export', 'json-lines')
  assert.deepEqual([whole.code, whole.stderr], [0, ''])
  const onlyRead = await run('map', 'export', 'cyrus-mboxlist')
  assert.equal(onlyRead.code, 2)
  assert.match(onlyRead.stderr, /cyrus-mboxlist is only read/)
})
