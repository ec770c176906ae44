import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { MailmuxError } from '../../src/base/error.ts'
import type { Config } from '../../src/config/config.ts'
import { parseAddress } from '../../src/mail/address.ts'
import type { Direction } from '../../src/mail/route.ts'
import { buildMap } from '../../src/map/build.ts'
import { sealHeader } from '../../src/map/database/format.ts'
import { type Expectation, type MapReader, openMap } from '../../src/map/open.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

const questions = [
  'nora',
  'staff',
  'root@example.net',
  'keep',
  'nobody',
  'two words',
  'fwd',
  'half',
]

function answers(map: MapReader, { naming }: Config): string[] {
  return questions.flatMap((text) =>
    (['delivery', 'retrieval'] satisfies Direction[]).map((direction) => {
      const address = parseAddress(text, naming)
      assert.ok(address)
      const resolution = map.resolve(direction, address, naming)
      return resolution.result === 'error' ? 'error' : JSON.stringify(resolution)
    }),
  )
}

/** Refused at open, or every answer is the right one or an error. */
function assertHarmless(
  path: string,
  config: Config,
  right: readonly string[],
  what: string,
): void {
  for (const expected of ['many questions', 'few questions'] as const) {
    assertAnswers(path, config, right, { what, expected })
  }
}

function assertAnswers(
  path: string,
  config: Config,
  right: readonly string[],
  { what, expected }: { readonly what: string; readonly expected: Expectation },
): void {
  let map: MapReader
  try {
    map = openMap(path, undefined, expected)
  } catch (error) {
    assert.ok(error instanceof MailmuxError && error.code === 'MAP_DATABASE_DAMAGED', what)
    assert.match(error.message, /^.*map\.db: \w/)
    return
  }
  try {
    for (const [index, answer] of answers(map, config).entries()) {
      assert.ok(answer === 'error' || answer === right[index], `${what}: ${answer}`)
    }
  } finally {
    map.close()
  }
}

test('every byte that is changed is refused, or harmless', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  const config = configOf('test/maps/aliases', path)
  await buildMap(config)
  const whole = readFileSync(path)
  const map = openMap(path)
  const right = answers(map, config)
  map.close()
  assert.ok(right.every((answer) => answer !== 'error'))
  const position = fc.oneof(
    fc.nat(300),
    fc.integer({ min: 4092, max: whole.length - 1 }),
    fc.nat(whole.length - 1),
  )
  fc.assert(
    fc.property(position, fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] ?? 0) ^ mask
      writeFileSync(path, bytes)
      assertHarmless(path, config, right, `byte ${at}`)
    }),
    { numRuns: 1500 },
  )
})

test('a database cut at any length, or with something added, is refused', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  await buildMap(configOf('test/maps/aliases', path))
  const whole = readFileSync(path)
  for (let length = 0; length < whole.length; length += length < 64 ? 1 : 61) {
    writeFileSync(path, whole.subarray(0, length))
    assert.throws(() => openMap(path), { code: 'MAP_DATABASE_DAMAGED' }, `${length} bytes`)
  }
  writeFileSync(path, Buffer.concat([whole, Buffer.from('\n')]))
  assert.throws(() => openMap(path), /something was added/)
})

test('what is no database of ours is refused with what it lacks', () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  const cases: [Buffer | string, RegExp][] = [
    ['', /truncated/],
    ['nora@example.com fritz\n'.repeat(400), /no map database of mailmux/],
    [Buffer.alloc(8192), /no map database of mailmux/],
    [Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8192)]), /no map database/],
  ]
  for (const [content, message] of cases) {
    writeFileSync(path, content)
    assert.throws(() => openMap(path), { code: 'MAP_DATABASE_DAMAGED', message })
  }
  assert.throws(() => openMap(dir.path), { code: 'MAP_DATABASE_DAMAGED' })
  assert.throws(() => openMap(dir.join('none')), { code: 'MAP_DATABASE_MISSING' })
})

test('another format version and sections out of place are refused, also where checksums are right', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  await buildMap(configOf('test/maps/aliases', path))
  const whole = readFileSync(path)
  const changes: [number, number, RegExp][] = [
    [16, 1, /format version 1; this mailmux reads version 2/],
    [72, 0xffff, /index has not the length/],
    [128 + 24 + 4, 1, /out of place/],
    [128 + 5 * 24 + 12, 1, /out of place/],
  ]
  for (const [at, value, message] of changes) {
    const bytes = Buffer.from(whole)
    bytes.writeUInt32LE(value, at)
    sealHeader(bytes.subarray(0, 4096), (data) => crc32(data))
    writeFileSync(path, bytes)
    assert.throws(() => openMap(path), { code: 'MAP_DATABASE_DAMAGED', message })
  }
})

test('a file that shrinks under a reader gives errors, not a crash', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  const config = configOf('test/maps/aliases', path)
  await buildMap(config)
  const map = openMap(path)
  writeFileSync(path, '')
  const found = answers(map, config)
  map.close()
  assert.ok(found.includes('error'))
})
