/** Pages that list what the code fixes say just that. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorCatalogue } from '../src/base/error.ts'
import { formatProblem } from '../src/base/problem.ts'
import { parseConfig } from '../src/config/parse.ts'
import { configSchema } from '../src/config/schema.ts'

test('docs/errors.md lists every error code with its exit status and hint, and no other', () => {
  const rows = readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `(\w+)` \| (\d+) \| (.+) \|$/gm)
  const listed = Object.fromEntries(
    [...rows].map(([, code, exit, hint]) => [code, { exit: Number(exit), hint }]),
  )
  assert.deepEqual(listed, { ...errorCatalogue })
})

interface SchemaNode {
  readonly type?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly notYet?: boolean
}

/** Every key of the schema as docs/config.md writes it; those that are not in force end in `*`. */
function* keysOf(node: SchemaNode, path: string): Generator<string> {
  for (const [key, inner] of Object.entries(node.properties ?? {})) {
    const own = path === '' ? key : `${path}.${key}`
    const hasKeys = inner.properties !== undefined && inner.notYet !== true
    if (!hasKeys) yield inner.notYet === true ? `${own}*` : own
    yield* keysOf(inner, own)
  }
  for (const inner of Object.values(node.patternProperties ?? {}))
    yield* keysOf(inner, `${path}.NAME`)
  if (node.items !== undefined) yield* keysOf(node.items, path)
  for (const inner of node.anyOf ?? []) yield* keysOf(inner, path)
}

test('docs/config.md has a row for every key of the schema, and says which have no effect yet', () => {
  const inSchema = [...keysOf(configSchema, '')].map((key) =>
    key
      .replace(/^listen\.\w+\.(?=\w)/, 'listen.SERVICE.')
      .replace(/^map\.(?:aliases|user_map|popmap)\.(?=\w)/, 'map.SOURCE.'),
  )
  const rows = readFileSync('docs/config.md', 'utf8').matchAll(/^\| `([\w.]+)` \| (.*) \|$/gm)
  const inPage = [...rows].map(([, key, text = '']) =>
    text.includes('*not yet*') ? `${key}*` : key,
  )
  assert.deepEqual(new Set(inPage), new Set(inSchema))
})

test('the example in docs/config.md is a good config', () => {
  const [, example = ''] =
    /```yaml\n([\s\S]*?)```/.exec(readFileSync('docs/config.md', 'utf8')) ?? []
  const parsed = parseConfig(example, '/etc/mailmux/mailmux.yaml')
  assert.ok(
    'config' in parsed,
    'problems' in parsed ? parsed.problems.map(formatProblem).join() : '',
  )
  assert.deepEqual(parsed.warnings, [])
})

test('the databases in docs/sources.md are good config', () => {
  const examples = readFileSync('docs/sources.md', 'utf8').matchAll(/```yaml\n(map:[\s\S]*?)```/g)
  const head = 'hostname: mx\ndomains: [example.com]\nbackends: {a: {host: x, imap: 143}}\n'
  const found = [...examples].map(([, example = '']) =>
    parseConfig(head + example, '/mailmux.yaml'),
  )
  assert.ok(found.length >= 3, `${found.length} examples`)
  for (const parsed of found) {
    assert.ok(
      'config' in parsed,
      'problems' in parsed ? parsed.problems.map(formatProblem).join() : '',
    )
    assert.deepEqual(parsed.warnings, [])
  }
})

test('docs/map-checks.md names just the findings that a build can report', () => {
  const page = readFileSync('docs/map-checks.md', 'utf8')
  const codes = [...page.matchAll(/^\| (`[a-z].*?) \| (?:error|warning)/gm)].flatMap(
    ([, cell = '']) => [...cell.matchAll(/`([a-z0-9-]+)`/g)].map(([, code = '']) => code),
  )
  const source = globSync('src/map/**/*.ts').map((file) => readFileSync(file, 'utf8'))
  assert.ok(codes.length > 15)
  for (const code of codes) {
    assert.ok(
      source.some((text) => text.includes(`'${code}'`)),
      code,
    )
  }
  // As they stand in calls that report, and in the table of the check of aliases.
  const calls =
    /(?:\b(?:error|warn|refuse)\(|\bthis\.fail\(|\bcode: |warningAt\([\w.]+,)\s*'([a-z0-9]+(?:-[a-z0-9]+)*)'/g
  const reported = source.flatMap((text) => [...text.matchAll(calls)].map(([, code = '']) => code))
  const [, table = ''] =
    /const codes[^{]*\{(.*?)\}/s.exec(readFileSync('src/map/alias-check.ts', 'utf8')) ?? []
  const ofAliases = [...table.matchAll(/: '([a-z-]+)'/g)].map(([, code = '']) => code)
  assert.ok(ofAliases.length > 4)
  assert.deepEqual(
    [...new Set([...reported, ...ofAliases])].toSorted(),
    [...new Set(codes)].toSorted(),
  )
})

test('docs/commands.md has a row for every command, in their order', () => {
  const page = readFileSync('docs/commands.md', 'utf8')
  const rows = [...page.matchAll(/^\| `([a-z -]+)` \|/gm)].map(([, name]) => name)
  const commands = globSync('src/commands/**/*.ts').map((file) =>
    file.replace('src/commands/', '').replace('.ts', '').replaceAll('/', ' '),
  )
  assert.deepEqual(rows, commands.toSorted())
})

test('docs/map-faults.md names tests that exist', () => {
  const rows = readFileSync('docs/map-faults.md', 'utf8').matchAll(
    /\| ((?:`[\w/-]+`(?:, )?)+) \|$/gm,
  )
  const named = [...rows].flatMap(([, cell = '']) => [...cell.matchAll(/`([\w/-]+)`/g)])
  assert.ok(named.length > 40)
  for (const [, name = ''] of named) assert.ok(existsSync(`test/${name}.test.ts`), name)
})
