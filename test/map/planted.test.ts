/**
 * Ten thousand clean lines in every form that the sources know, and one error at a time planted among
 * them: each must be found where it stands, and nothing else.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { before, after, test } from 'node:test'
import type { Problem } from '../../src/base/problem.ts'
import { buildMap } from '../../src/map/build.ts'
import { MapProblems } from '../../src/map/problems.ts'
import { configOf } from '../support/map-case.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

type Source = 'aliases' | 'user_map' | 'popmap' | 'rules' | 'mailmux.yaml'
type Sources = Readonly<Record<Source, readonly string[]>>

const config = [
  'hostname: mx1.example.com',
  'domains:',
  '  - example.com',
  '  - example.net',
  '  - bücher.example',
  'recipient_delimiter: "+"',
  'smarthost: out',
  'backends:',
  '  fritz: {host: fritz.example.org, smtp: 25, imap: 143, pop3: 110}',
  '  ingrid: {host: 10.0.0.12, lmtp: 24, imap: 143}',
  '  lists: {host: 10.0.0.13, smtp: 25}',
  '  out: {host: smart.example.org, smtp: 25}',
]

const backends = ['fritz', 'ingrid']

/** Lines that stand for one user each, in turn in all the ways that a line may be written. */
function userLine(number: number): string {
  const backend = backends[number % 2] ?? ''
  const forms = [
    `user${number}@example.com ${backend}`,
    `user${number}@example.net\t${backend}`,
    `user${number}@BÜCHER.example   ${backend}`,
    `Bare.User${number} ${backend}`,
    `user${number}@example.com other${number}@${backend}`,
    `user${number}@example.com other.${number}@fritz.example.org`,
    `user${number}@xn--bcher-kva.example smtp:[10.0.0.12]:24`,
    `user${number}@example.com user${number}@elsewhere.example`,
    `user${number}@example.com error:5.7.1:550 not any more`,
    `user${number}@example.net defer:come back`,
    `jürgen${number}@example.com relay:fritz.example.org`,
    `"two words ${number}"@example.com ${backend}`,
    `user${number}+detail@example.com ${backend}`,
    '# a comment',
    '',
  ]
  return forms[number % forms.length] ?? ''
}

function aliasLine(number: number): string {
  const forms = [
    `alias${number}: bare.user3, bare.user18`,
    `alias${number}@example.com:user0@example.com`,
    `alias${number}: "two words 11"@example.com, someone@elsewhere.example`,
    `alias${number}: alias${number - 3},`,
    `  bare.user3`,
    `owner-alias${number - 5}: bare.user3`,
    `bare.user${(number - 6) * 15 + 3}: bare.user${(number - 6) * 15 + 3}, user1@example.net`,
    '# a comment',
  ]
  return forms[number % forms.length] ?? ''
}

const cleanSources: Sources = {
  'mailmux.yaml': config,
  user_map: Array.from({ length: 7000 }, (_, number) => userLine(number)),
  aliases: Array.from({ length: 2000 }, (_, number) => aliasLine(number)),
  popmap: Array.from({ length: 1000 }, (_, number) =>
    number % 2 === 0 ? `pop${number}@example.com: p${number}@ingrid` : `pop${number}:fritz:143`,
  ),
  rules: [
    'a-f fritz',
    '*.lists@example.com lists',
    '/^q[0-9]+@/ hash(fritz*2, ingrid)',
    '@example.net ingrid',
    'w-z reject 5.1.1 "no such user"',
  ],
}

interface Planted {
  readonly code: string
  readonly in: Source
  readonly lines: readonly string[]
  /** The line (of `lines`, from 1) and column where it must be found. */
  readonly at: readonly [number, number]
  /** What stands elsewhere with it. */
  readonly with?: Partial<Sources>
}

const planted: readonly Planted[] = [
  // Lines that cannot be read.
  { code: 'no-value', in: 'user_map', lines: ['lonely@example.com'], at: [1, 1] },
  { code: 'bad-key', in: 'user_map', lines: ['a@b@example.com fritz'], at: [1, 1] },
  { code: 'indented', in: 'user_map', lines: [' nora@example.com fritz'], at: [1, 1] },
  { code: 'bad-value', in: 'user_map', lines: ['nora@example.com fritz ingrid'], at: [1, 18] },
  { code: 'bad-reply', in: 'user_map', lines: ['nora error:4.2.1:550 x'], at: [1, 6] },
  { code: 'not-utf8', in: 'user_map', lines: ['nora\udc80@example.com fritz'], at: [1, 5] },
  { code: 'bad-alias', in: 'aliases', lines: ['no colon here'], at: [1, 1] },
  { code: 'no-target', in: 'aliases', lines: ['nobody-there:'], at: [1, 1] },
  { code: 'bad-target', in: 'aliases', lines: ['list: bare.user3, two words'], at: [1, 19] },
  { code: 'program-target', in: 'aliases', lines: ['list: |/bin/true'], at: [1, 7] },
  { code: 'file-target', in: 'aliases', lines: ['list: bare.user3,', '  /var/mail/x'], at: [2, 3] },
  { code: 'no-value', in: 'popmap', lines: ['nora@example.com fritz'], at: [1, 1] },
  { code: 'bad-rule', in: 'rules', lines: ['a-f'], at: [1, 1] },
  { code: 'bad-match', in: 'rules', lines: ['(g fritz'], at: [1, 1] },
  { code: 'bad-destination', in: 'rules', lines: ['g-h hash(fritz*0, ingrid)'], at: [1, 5] },
  // Expressions that no linear engine takes.
  { code: 'bad-pattern', in: 'rules', lines: [String.raw`/(a)\1/ fritz`], at: [1, 1] },
  { code: 'bad-pattern', in: 'rules', lines: ['/(?=a)b/ fritz'], at: [1, 1] },
  { code: 'bad-pattern', in: 'rules', lines: ['/(?<!a)b/ fritz'], at: [1, 1] },
  { code: 'bad-pattern', in: 'rules', lines: ['/a{2000}/ fritz'], at: [1, 1] },
  // Back-ends that are not there, and hosts that are nobody's.
  { code: 'unknown-backend', in: 'user_map', lines: ['nora fritzz'], at: [1, 6] },
  { code: 'unknown-backend', in: 'user_map', lines: ['nora smtp:[10.9.9.9]:25'], at: [1, 6] },
  { code: 'unknown-backend', in: 'popmap', lines: ['nora@example.com:ingird'], at: [1, 18] },
  { code: 'unknown-backend', in: 'rules', lines: ['g-h otto'], at: [1, 5] },
  { code: 'unknown-backend', in: 'rules', lines: ['g-h hash(fritz, otto)'], at: [1, 5] },
  { code: 'backend-target', in: 'aliases', lines: ['list: nora@ingrid'], at: [1, 7] },
  { code: 'other-port', in: 'popmap', lines: ['nora@example.com:fritz:9999'], at: [1, 18] },
  // Aliases that lead nowhere, in circles, too deep, to too many.
  { code: 'unresolved-target', in: 'aliases', lines: ['list: bare.user3, nobody'], at: [1, 19] },
  { code: 'unresolved-target', in: 'user_map', lines: ['nora nobody@example.com'], at: [1, 6] },
  { code: 'alias-loop', in: 'aliases', lines: ['c1: c2', 'c2: c3', 'c3: c1'], at: [1, 5] },
  {
    code: 'alias-loop',
    in: 'aliases',
    lines: ['c1@example.com: C1+x@example.com', 'c1+x@example.com: c1@example.com'],
    at: [1, 17],
  },
  { code: 'alias-loop', in: 'user_map', lines: ['c1 c1@example.com'], at: [1, 4] },
  {
    code: 'alias-too-deep',
    in: 'aliases',
    lines: [...Array.from({ length: 10 }, (_, n) => `d${n}: d${n + 1}`), 'd10: bare.user18'],
    at: [1, 5],
  },
  {
    code: 'alias-too-big',
    in: 'aliases',
    lines: [`big: ${Array.from({ length: 1001 }, (_, n) => `u${n}@elsewhere.example`).join()}`],
    at: [1, 1],
  },
  {
    code: 'refused-target',
    in: 'aliases',
    lines: ['list: bare.user3, nora'],
    at: [1, 19],
    with: { user_map: ['nora error:gone'] },
  },
  // Two lines of which one is not what it seems.
  {
    code: 'duplicate-key',
    in: 'user_map',
    lines: ['a@example.com fritz', 'a@EXAMPLE.COM fritz'],
    at: [2, 1],
  },
  {
    code: 'duplicate-key',
    in: 'user_map',
    lines: ['A@example.com fritz', 'a@example.com ingrid'],
    at: [2, 1],
  },
  {
    code: 'duplicate-key',
    in: 'user_map',
    lines: ['u\u0308@example.com fritz', '\u00fc@example.com ingrid'],
    at: [2, 1],
  },
  {
    code: 'duplicate-key',
    in: 'user_map',
    lines: ['a@bücher.example fritz', 'a@xn--bcher-kva.example fritz'],
    at: [2, 1],
  },
  {
    code: 'duplicate-key',
    in: 'aliases',
    lines: ['list: bare.user3', 'List: bare.user18'],
    at: [2, 1],
  },
  {
    code: 'duplicate-key',
    in: 'popmap',
    lines: ['n@example.com:fritz', 'n@example.com:ingrid'],
    at: [2, 1],
  },
  {
    code: 'lookalike-key',
    in: 'user_map',
    lines: ['paula fritz', 'p\u0430ula ingrid'],
    at: [2, 1],
  },
  { code: 'lookalike-key', in: 'user_map', lines: ['fin fritz', '\ufb01n ingrid'], at: [2, 1] },
  { code: 'lookalike-key', in: 'user_map', lines: ['a-b fritz', 'a\u2010b ingrid'], at: [2, 1] },
  { code: 'lookalike-key', in: 'user_map', lines: ['anna fritz', 'an\u200dna ingrid'], at: [2, 1] },
  {
    code: 'routes-differ',
    in: 'aliases',
    lines: ['nora: bare.user3'],
    at: [1, 1],
    with: { user_map: ['nora ingrid'] },
  },
  {
    code: 'routes-differ',
    in: 'aliases',
    lines: ['nora: bare.user3'],
    at: [1, 1],
    with: { user_map: ['nora@example.net ingrid'] },
  },
  {
    code: 'swallowed-user',
    in: 'aliases',
    lines: ['nora@example.com: bare.user3'],
    at: [1, 1],
    with: { user_map: ['nora@example.com defer:later'] },
  },
  { code: 'foreign-key', in: 'user_map', lines: ['nora@elsewhere.example fritz'], at: [1, 1] },
  { code: 'foreign-key', in: 'aliases', lines: ['list@elsewhere.example: bare.user3'], at: [1, 1] },
  // Rules that an earlier one leaves nothing.
  { code: 'unreachable-rule', in: 'rules', lines: ['a-f ingrid'], at: [1, 1] },
  { code: 'unreachable-rule', in: 'rules', lines: ['b-e ingrid'], at: [1, 1] },
  { code: 'unreachable-rule', in: 'rules', lines: ['g-m ingrid', 'd-k ingrid'], at: [2, 1] },
  { code: 'unreachable-rule', in: 'rules', lines: ['c*@bücher.example ingrid'], at: [1, 1] },
  { code: 'unreachable-rule', in: 'rules', lines: ['s*.lists@example.com ingrid'], at: [1, 1] },
  { code: 'unreachable-rule', in: 'rules', lines: ['*.x@example.net ingrid'], at: [1, 1] },
  { code: 'unreachable-rule', in: 'rules', lines: ['@example.org ingrid'], at: [1, 1] },
  { code: 'unreachable-rule', in: 'rules', lines: ['* fritz', '@example.com ingrid'], at: [2, 1] },
  {
    code: 'unreachable-pattern',
    in: 'popmap',
    lines: ['*@example.net:fritz', '*@example.net:ingrid'],
    at: [2, 1],
  },
  // What half of the site does not know.
  { code: 'no-login-port', in: 'user_map', lines: ['nora@example.com lists'], at: [1, 1] },
  { code: 'no-login-port', in: 'popmap', lines: ['nora@example.com:lists'], at: [1, 1] },
  {
    code: 'unused-backend',
    in: 'mailmux.yaml',
    lines: ['  otto: {host: 10.0.0.99, smtp: 25, imap: 143}'],
    at: [1, 3],
  },
  {
    code: 'no-mail-port',
    in: 'user_map',
    lines: ['nora@example.com otto'],
    at: [1, 1],
    with: { 'mailmux.yaml': ['  otto: {host: 10.0.0.99, imap: 143}'] },
  },
  {
    code: 'no-mail-port',
    in: 'rules',
    lines: ['g-h otto'],
    at: [1, 1],
    with: { 'mailmux.yaml': ['  otto: {host: 10.0.0.99, imap: 143}'] },
  },
]

let dir: TempDir

before(() => {
  dir = tempDir()
})

after(() => dir[Symbol.dispose]())

/** Puts lines in the middle of a source, rules and back-ends at the end; returns the line number. */
function put(
  sources: Record<Source, readonly string[]>,
  name: Source,
  lines: readonly string[],
): number {
  const all = sources[name]
  // An alias may end in continuation lines.
  const middle = name === 'aliases' ? Math.floor(all.length / 16) * 8 : Math.floor(all.length / 2)
  const at = name === 'rules' || name === 'mailmux.yaml' ? all.length : middle
  sources[name] = all.toSpliced(at, 0, ...lines)
  return at
}

async function findingsOf(folder: string, sources: Sources): Promise<readonly Problem[]> {
  for (const [name, lines] of Object.entries(sources)) {
    // A lone surrogate stands for the byte that it hides, which is not UTF-8.
    const bytes = Buffer.from(`${lines.join('\n')}\n`.replaceAll('\udc80', '\u0001'))
    for (let at = bytes.indexOf(1); at !== -1; at = bytes.indexOf(1)) bytes[at] = 0x80
    writeFileSync(`${folder}/${name}`, bytes)
  }
  try {
    return (await buildMap(configOf(folder, `${folder}/map.db`), { force: true })).warnings
  } catch (error) {
    if (error instanceof MapProblems) return error.problems
    throw error
  }
}

test('ten thousand clean lines give no finding', async () => {
  const lines = Object.values(cleanSources).reduce((sum, { length }) => sum + length, 0)
  assert.ok(lines >= 10_000)
  assert.deepEqual(await findingsOf(dir.path, cleanSources), [])
})

for (const { code, in: source, lines, at, with: others = {} } of planted) {
  test(`among clean lines ${code} is found: ${(lines.at(at[0] - 1) ?? '').slice(0, 50)}`, async () => {
    const sources = { ...cleanSources }
    for (const [name, more] of Object.entries(others)) put(sources, name as Source, more)
    const before = put(sources, source, lines)
    const found = await findingsOf(dir.path, sources)
    assert.deepEqual(
      found.map((one) => `${one.code} ${one.at.file}:${one.at.line}:${one.at.column}`),
      [`${code} ${dir.path}/${source}:${before + at[0]}:${at[1]}`],
      found.map(({ message }) => message).join('\n'),
    )
    assert.ok(found.every(({ hint }) => hint !== ''))
  })
}
