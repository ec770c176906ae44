/** A source that several threads read: the database and all that is told are as if one had read it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { MailmuxError } from '../../../src/base/error.ts'
import type { Problem } from '../../../src/base/problem.ts'
import { compileMap } from '../../../src/map/compile.ts'
import { ScratchFile } from '../../../src/map/database/scratch-file.ts'
import { userMapForm } from '../../../src/map/sources/keyed-lines.ts'
import type { SourceContext } from '../../../src/map/sources/source-context.ts'
import { BuildThreads } from '../../../src/map/threads/build-threads.ts'
import { readKeyedLinesInThreads } from '../../../src/map/threads/split-source.ts'
import { configOf } from '../../support/map-case.ts'
import { tempDir } from '../../support/temp-dir.ts'

type Sources = Readonly<Record<string, string | Buffer>>

interface Built {
  readonly digest: string
  readonly problems: readonly Problem[]
  readonly errors: number
  readonly warnings: number
  readonly counts: object
}

async function build(folder: string, count: number): Promise<Built> {
  const config = configOf(folder, `${folder}/map.db`)
  const file = new ScratchFile()
  try {
    const options = { generation: 1, attempt: 0, threads: { count, fromBytes: 0 } }
    const { problems, counts, fileBytes } = await compileMap(config, file, options)
    const digest = createHash('sha256').update(file.readBack(0, fileBytes)).digest('hex')
    const { errors, warnings } = problems
    return { digest, problems: problems.list(), errors, warnings, counts }
  } finally {
    file.end()
  }
}

async function assertSame(sources: Sources): Promise<Built> {
  using dir = tempDir()
  for (const [name, content] of Object.entries(sources)) writeFileSync(dir.join(name), content)
  const one = await build(dir.path, 1)
  assert.deepEqual(await build(dir.path, 3), one)
  return one
}

function lines(count: number, lineOf: (number: number) => string): string {
  return Array.from({ length: count }, (_, number) => lineOf(number)).join('\n')
}

const backends = ['fritz', 'ingrid', 'otto']
/** Several megabytes: a part is one. */
const manyLines = 120_000

function plain(number: number): string {
  return `user${number}@example.com ${backends[number % 3] ?? ''}`
}

/** Lines of every kind, so that most parts have some of each. */
function mixed(number: number): string {
  const kinds = [
    () => `User.${number}@Example.COM\t fritz `,
    () => `user${number} ingrid`,
    () => `"odd ${number}"@example.com fritz`,
    () => `name${number}@example.com other${number}@otto`,
    () => `away${number}@example.com away${number % 50}@example.net`,
    () => `no${number}@example.com error:5.7.1:550 gone ${number % 7}`,
    () => `# ${number}`,
    () => `us\u00e9r${number}@example.com fritz`,
    () => `list${number}+*@example.com ingrid`,
  ]
  return number % 4 === 0 ? plain(number) : (kinds[number % kinds.length]?.() ?? '')
}

test('plain lines in many parts make the same database', async () => {
  const built = await assertSame({ user_map: `${lines(manyLines, plain)}\n` })
  assert.deepEqual(built.problems, [])
  assert.equal((built.counts as { users: number }).users, manyLines)
})

test('lines of every kind make the same database, with CRLF and without an end', async () => {
  const text = lines(60_000, mixed)
  await assertSame({ user_map: text })
  await assertSame({ user_map: `\ufeff${text.replaceAll('\n', '\r\n')}`, aliases: 'root: user0\n' })
})

test('several sources that share keys make the same database', async () => {
  const popmap = lines(manyLines, (number) =>
    number === 100_000 ? '*@example.com: fritz' : `user${number}@example.com: ${number}@otto`,
  )
  const rules = '* fritz\n'
  await assertSame({ user_map: lines(manyLines, plain), popmap, rules, aliases: 'a: user1\n' })
})

test('errors and warnings are told with their lines, in the order of the file', async () => {
  const bad = new Map([
    [5, 'user5@example.com nowhere'],
    [70_000, ' user@example.com fritz'],
    [90_000, 'user@example.com'],
    [90_001, 'user3@example.com ingrid'],
    [110_000, 'user1@example.com ingrid'],
    [110_001, 'user@example.org fritz'],
  ])
  const text = lines(manyLines, (number) => bad.get(number) ?? plain(number))
  const { problems } = await assertSame({ user_map: text })
  assert.deepEqual(
    problems.map(({ code, at }) => `${code} ${at.line}:${at.column}`),
    [
      'unknown-backend 6:19',
      'indented 70001:1',
      'no-value 90001:1',
      'duplicate-key 90002:1',
      'foreign-key 110002:1',
      'duplicate-key 110001:1',
    ].toSorted(
      (one, other) => Number(one.startsWith('foreign')) - Number(other.startsWith('foreign')),
    ),
  )
  assert.match(problems.find(({ at }) => at.line === 90_002)?.message ?? '', /user_map:4/)
})

test('of more problems than are kept the same ones are kept, and all counted', async () => {
  const text = lines(manyLines, (number) =>
    number % 3 === 0 ? `x${number}@example.com` : mixed(number),
  )
  const { errors, problems } = await assertSame({ user_map: text })
  assert.ok(errors >= manyLines / 3, `${errors}`)
  assert.equal(problems.filter(({ severity }) => severity === 'error').length, 100)
})

test('a line that is too long, and a NUL byte, are told where they are', async () => {
  const long = `${lines(40_000, plain)}\n${'x'.repeat(2 ** 21)}\n${lines(40_000, mixed)}\n`
  const { problems } = await assertSame({ user_map: long })
  assert.ok(problems.some(({ code, at }) => code === 'line-too-long' && at.line === 40_001))
  const binary = `${lines(70_000, plain)}\nann@example.com fr\0itz\n`
  const found = (await assertSame({ user_map: binary })).problems
  assert.deepEqual(
    found.map(({ code, at }) => `${code} ${at.line}`),
    ['binary 70001'],
  )
})

test('a file of one line without an end that is too long does not stop the build', async () => {
  const { problems } = await assertSame({ user_map: 'x'.repeat(2 ** 25), rules: '* fritz\n' })
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['line-too-long'],
  )
})

test('more values than can be numbered are numbered in the order of the file', async () => {
  const text = lines(70_000, (number) => `user${number}@example.com a${number}@example.net`)
  await assertSame({ user_map: text })
})

test('a key that stands there a hundred thousand times is told as often', async () => {
  const { warnings } = await assertSame({ user_map: lines(100_001, () => plain(1)) })
  assert.equal(warnings, 100_000)
})

const exits = new URL('data:text/javascript,process.exit(3)')
const throws = new URL('data:text/javascript,throw new Error("out of luck")')

for (const [entry, reason] of [
  [exits, /exit code 3/],
  [throws, /out of luck/],
] as const) {
  test(`a thread that dies ends the build with its reason (${String(reason)})`, async () => {
    using dir = tempDir()
    writeFileSync(dir.join('user_map'), lines(1000, plain))
    const config = configOf(dir.path, dir.join('map.db'))
    const setting = {
      naming: config.naming,
      backends: [],
      smarthost: undefined,
      seed: [1, 2] as const,
    }
    const threads = new BuildThreads(2, setting, entry)
    const context = { writer: {}, addToDigest: () => undefined } as unknown as SourceContext
    const file = { path: dir.join('user_map'), number: 0 }
    await assert.rejects(
      readKeyedLinesInThreads(file, userMapForm, context, threads),
      (error) =>
        error instanceof MailmuxError && error.code === 'INTERNAL' && reason.test(error.message),
    )
    await threads.end()
  })
}
