import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type CommandResult, runCommand } from '../support/command.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const config = `hostname: mx1.example.com
domains: [example.com, example.net]
backends:
  fritz: {host: 10.0.0.11, smtp: 25, imap: 143, pop3: 110}
  ingrid: {host: 10.0.0.12, smtp: 25, imap: 143, pop3: 110}
smarthost: fritz
map: {aliases: aliases, user_map: user_map, popmap: popmap, database: map.db}
state_dir: state
`
const sources = {
  user_map: '# users\nann@example.com     fritz\nbob@example.com     ingrid\n',
  aliases:
    '# lists\npostmaster:  ann\ninfo:        ann, bob\nteam:        ann,\n    # new\n    bob\n',
  popmap: 'bob@example.com:fritz\n',
}

type Run = (...words: string[]) => Promise<CommandResult>

async function site(dir: TempDir): Promise<Run> {
  writeFileSync(dir.join('mailmux.yaml'), config)
  for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
  const run: Run = (...words) => runCommand([...words, '--config', dir.join('mailmux.yaml')])
  assert.equal((await run('build-map')).code, 0)
  return run
}

test('user add, change and remove: sources keep their form, the map follows', async () => {
  using dir = tempDir()
  const run = await site(dir)
  const add = await run('user', 'add', 'dora', 'ingrid')
  assert.deepEqual([add.code, add.stdout], [0, 'dora@example.com: done, generation 2\n'])
  const again = await run('user', 'add', 'dora@EXAMPLE.com', 'ingrid')
  assert.deepEqual(
    [again.code, again.stdout],
    [0, 'dora@example.com is there already, with that value\n'],
  )
  const other = await run('user', 'add', 'dora', 'fritz')
  assert.equal(other.code, 65)
  assert.match(other.stderr, /dora@example.com is there already: ingrid \(\S+user_map:4:1\)/)
  assert.equal((await run('user', 'add', 'dora', 'fritz', '--replace')).code, 0)
  const eve = await run('user', 'add', 'eve', 'fritz', '--retrieval', 'e.x@ingrid', '--json')
  assert.deepEqual(JSON.parse(eve.stdout), { key: 'eve@example.com', generation: 4, warnings: [] })
  assert.equal(
    readFileSync(dir.join('user_map'), 'utf8'),
    `${sources.user_map}dora@example.com    fritz\neve@example.com     fritz\n`,
  )
  assert.equal(
    readFileSync(dir.join('popmap'), 'utf8'),
    'bob@example.com:fritz\neve@example.com:e.x@ingrid\n',
  )
  const lookup = await run('lookup', '--retrieval', 'eve')
  assert.equal(lookup.stdout, 'eve: ingrid as e.x\n')
  assert.equal((await run('user', 'remove', 'eve')).code, 0)
  assert.equal((await run('lookup', 'eve')).code, 67)
  assert.equal(readFileSync(dir.join('popmap'), 'utf8'), sources.popmap)
})

test('what would break the map is refused, and nothing is written', async () => {
  using dir = tempDir()
  const run = await site(dir)
  for (const [words, code, message] of [
    [['user', 'add', 'emil', 'igrid'], 65, /no back-end is called igrid.*did you mean ingrid\?/],
    [['user', 'add', 'ann@else.org', 'fritz'], 65, /else\.org is no domain of ours/],
    [['user', 'add', 'a\nb', 'fritz'], 65, /no address/],
    [['user', 'add', 'a@b@example.com', 'fritz'], 65, /no address/],
    [['user', 'add', 'x', 'fritz\nann'], 65, /more than one word/],
    [['alias', 'add', 'x', 'ann,bob'], 65, /is not one target/],
    [['alias', 'add', 'x', 'ann\nroot: bob'], 65, /is not one target/],
    [['user', 'add', 'x', 'nobody@example.com'], 65, /nobody@example\.com is nobody/],
    [['user', 'remove', 'bob'], 65, /the alias (info|team) would lead nowhere \(\S+aliases:\d:1\)/],
    [['user', 'remove', 'nobody'], 67, /no source names nobody@example\.com/],
    [['alias', 'add', 'ann', 'info'], 65, /circle: /],
    [['alias', 'add', 'new', '|/bin/vacation'], 65, /runs a program/],
    [['alias', 'remove', 'none'], 67, /there is no alias none/],
    [['alias', 'show', 'none'], 67, /there is no alias none/],
    [['user', 'add'], 2, /Missing 1 required arg/],
    [['user', 'add', 'emil'], 65, /no rule says where emil@example\.com is to live/],
  ] as const) {
    const { code: exit, stderr } = await run(...words)
    assert.equal(exit, code, `${words.join(' ')}: ${stderr}`)
    assert.match(stderr, message)
  }
  for (const [name, text] of Object.entries(sources)) {
    assert.equal(readFileSync(dir.join(name), 'utf8'), text)
  }
})

test('alias add and remove edit the lines of the alias and no other', async () => {
  using dir = tempDir()
  const run = await site(dir)
  assert.equal((await run('alias', 'add', 'info', 'hans@outside.org')).code, 0)
  assert.equal((await run('alias', 'add', 'new', 'info', 'team')).code, 0)
  assert.equal((await run('alias', 'remove', 'team', 'bob')).code, 0)
  assert.equal((await run('alias', 'remove', 'postmaster')).code, 0)
  assert.equal(
    readFileSync(dir.join('aliases'), 'utf8'),
    '# lists\ninfo:        ann, bob, hans@outside.org\nteam:        ann\n    # new\nnew:         info, team\n',
  )
  const tree = await run('alias', 'show', 'new')
  assert.deepEqual(tree.stdout.replaceAll(`${dir.path}/`, '').split('\n'), [
    'new  aliases:5',
    '  info  aliases:2',
    '    ann → fritz',
    '    bob → ingrid',
    '    hans@outside.org → outside, by fritz',
    '  team  aliases:3',
    '    ann → fritz',
    '',
  ])
  const list = await run('alias', 'list', '--match', 'n*', '--json')
  assert.deepEqual(JSON.parse(list.stdout), {
    alias: 'new',
    targets: ['info', 'team'],
    at: { file: dir.join('aliases'), line: 5, column: 1 },
  })
})

test('user list streams, filtered; user show says everything of one', async () => {
  using dir = tempDir()
  const run = await site(dir)
  assert.equal((await run('user', 'add', 'dora', 'ingrid')).code, 0)
  assert.equal(
    (await run('user', 'list')).stdout,
    'ann@example.com\tfritz\nbob@example.com\tingrid\tlogins: fritz\ndora@example.com\tingrid\n',
  )
  const some = await run(
    'user',
    'list',
    '--backend',
    'ingrid',
    '--match',
    'b*@example.com',
    '--json',
  )
  assert.deepEqual(JSON.parse(some.stdout), {
    user: 'bob@example.com',
    value: 'ingrid',
    backend: 'ingrid',
    retrieval: 'fritz',
    at: { file: dir.join('user_map'), line: 3, column: 1 },
  })
  const typo = await run('user', 'list', '--backend', 'ingird')
  assert.deepEqual([typo.code, typo.stdout], [67, ''])
  assert.match(typo.stderr, /no back-end is called ingird: did you mean ingrid\?/)
  const shown = await run('user', 'show', 'bob', '--json')
  const { delivery, retrieval, lines, aliases } = JSON.parse(shown.stdout) as {
    delivery: { backend: string }
    retrieval: { backend: string }
    lines: { source: string }[]
    aliases: string[]
  }
  assert.deepEqual([delivery.backend, retrieval.backend], ['ingrid', 'fritz'])
  assert.deepEqual(
    lines.map(({ source }) => source),
    ['user_map', 'popmap'],
  )
  assert.deepEqual(aliases.toSorted(), ['info', 'team'])
  const dora = await run('user', 'show', 'dora')
  assert.match(dora.stdout, /user_map:4:1 \(changed in generation 2\)/)
  assert.equal((await run('user', 'show', 'nix')).code, 67)
})
