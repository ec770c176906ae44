import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { MailmuxError } from '../../src/base/error.ts'
import { buildMap } from '../../src/map/build.ts'
import {
  decodeHeader,
  encodeHeader,
  headerBytes,
  sealHeader,
} from '../../src/map/database/format.ts'
import { verifyDatabase } from '../../src/map/verify.ts'
import { configOf } from '../support/map-case.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

async function builtIn(dir: TempDir): Promise<Buffer> {
  await buildMap(configOf('test/maps/aliases', dir.join('map.db')))
  return readFileSync(dir.join('map.db'))
}

/** What is found wrong with those bytes. */
function faultsOf(dir: TempDir, bytes: Buffer): readonly string[] {
  writeFileSync(dir.join('copy.db'), bytes)
  try {
    return verifyDatabase(dir.join('copy.db')).problems
  } catch (error) {
    assert.ok(error instanceof MailmuxError && error.code === 'MAP_DATABASE_DAMAGED', String(error))
    return [error.message]
  }
}

test('a database as it was built is all right, in all its records', async () => {
  using dir = tempDir()
  const bytes = await builtIn(dir)
  const report = verifyDatabase(dir.join('map.db'))
  assert.deepEqual([report.problems, report.problemCount], [[], 0])
  assert.deepEqual([report.generation, report.bytes, report.records], [1, bytes.length, 33])
})

test('a flipped bit anywhere but in what no section uses is found', async () => {
  using dir = tempDir()
  const bytes = await builtIn(dir)
  const header = decodeHeader(bytes.subarray(0, headerBytes), (data) => crc32(data))
  assert.ok(typeof header !== 'string')
  const { records, index, meta, sums } = header.sections
  const used = [
    [0, headerBytes],
    [records.offset, header.sections.places.offset + header.sections.places.length],
    ...[index, meta, sums].map(({ offset, length }) => [offset, offset + length] as const),
    [bytes.length - 16, bytes.length],
  ] as const
  const place = fc
    .constantFrom(...used)
    .chain(([from, to]) => fc.integer({ min: from, max: to - 1 }))
  fc.assert(
    fc.property(place, fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit)
      assert.notDeepEqual(faultsOf(dir, flipped), [])
    }),
    { numRuns: 400 },
  )
})

test('a file that was cut, or that something was added to, is found', async () => {
  using dir = tempDir()
  const bytes = await builtIn(dir)
  for (let length = 0; length < bytes.length; length += 509) {
    assert.notDeepEqual(faultsOf(dir, bytes.subarray(0, length)), [])
  }
  assert.notDeepEqual(faultsOf(dir, Buffer.concat([bytes, Buffer.alloc(1)])), [])
})

test('every damaged block is told with its place', async () => {
  using dir = tempDir()
  const bytes = await builtIn(dir)
  bytes[headerBytes + 100] = (bytes[headerBytes + 100] ?? 0) ^ 1
  assert.deepEqual(faultsOf(dir, bytes), ['the checksum of the block at byte 4096 is wrong'])
})

test('records that their keys do not lead to are told, though every checksum is right', async () => {
  using dir = tempDir()
  const bytes = await builtIn(dir)
  const header = decodeHeader(bytes.subarray(0, headerBytes), (data) => crc32(data))
  assert.ok(typeof header !== 'string')
  const other = encodeHeader({ ...header, seed: [header.seed[0] ^ 1, header.seed[1]], users: 7 })
  sealHeader(other, (data) => crc32(data)).copy(bytes)
  const faults = faultsOf(dir, bytes)
  assert.equal(faults.length, 34)
  assert.match(faults[0] ?? '', /user_map:1: nora@example\.com is not found by its key$/)
  assert.match(faults.at(-1) ?? '', /it has 9 users and 24 aliases, but 7 and 24 were counted/)
})
