/** Exported aliases in the hands of Exim: each leads where our own resolution sends it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { runCommand } from '../support/command.ts'
import { Exim, skipWithoutExim } from '../support/exim.ts'
import { tempDir } from '../support/temp-dir.ts'

const config = `hostname: mx1.example.com
domains: [example.com, example.net]
backends: {fritz: {host: 10.0.0.11, lmtp: 24, imap: 143}, out: {host: 10.0.0.12, smtp: 25}}
smarthost: out
map: {aliases: aliases, user_map: user_map, rules: rules, database: map.db}
state_dir: state
`
const sources = {
  rules: '*  fritz\n',
  user_map: 'hal@example.com hal@else.org\nfay hal@example.com\nann fritz\n',
  list: '# who reads it\ncarl, "d. d"@example.net\nout@else.org\n',
  aliases: `info: ann, "b q"@example.net
team@example.com: bob,
    eva,	info
Everybody: TEAM, list, "two words", carl
list: :include:list
"two words": ann+news@example.com
"#hash": ann
o'hara: "o'hara"@example.net
copy: copy, ann
owner-list: ann
postmaster: root
root: hal
x.y-z_1=2: ann
`,
}
const names = [
  'info',
  'team',
  'everybody',
  'list',
  '"two words"',
  '"#hash"',
  "o'hara",
  'copy',
  'owner-list',
  'postmaster',
  'root',
  'hal',
  'fay',
  'x.y-z_1=2',
  'nobody-special',
]

interface Lookup {
  readonly result: string
  readonly user: string
  readonly targets?: readonly string[]
}

test('Exim delivers every exported alias to whom the map does', {
  skip: skipWithoutExim(),
}, async () => {
  using dir = tempDir()
  writeFileSync(dir.join('mailmux.yaml'), config)
  for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
  const mailmux = (...words: string[]) =>
    runCommand([...words, '--config', dir.join('mailmux.yaml')])
  const build = await mailmux('build-map')
  assert.equal(build.code, 0, build.stderr)
  const { stdout } = await mailmux('map', 'export', 'sendmail-aliases', '--partial')
  writeFileSync(dir.join('exported'), stdout)
  const exim = new Exim(dir, dir.join('exported'))

  const addresses = names.map((name) => `${name}@example.com`)
  const looked = await mailmux('lookup', '--json', ...addresses)
  const found = looked.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Lookup)
  for (const [index, address] of addresses.entries()) {
    const { result, user, targets = [user] } = found[index] ?? assert.fail()
    assert.match(result, /^(?:route|expand)$/, address)
    assert.deepEqual(await exim.finalAddresses(address), targets.toSorted(), address)
  }
})
