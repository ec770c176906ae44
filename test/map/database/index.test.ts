import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EntryBuckets, entryValue } from '../../../src/map/database/entry-buckets.ts'
import { homeSlot, jointBit, referenceBit } from '../../../src/map/database/format.ts'
import { buildIndex } from '../../../src/map/database/index-builder.ts'
import { KeyHash } from '../../../src/map/database/key-hash.ts'

const word = fc.integer({ min: 0, max: 0xffffffff })

test('text and its bytes have one hash, whatever stands around the bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), word, word, (text, high, low) => {
      if (!text.isWellFormed()) return
      const one = new KeyHash([high, low])
      const other = new KeyHash([high, low])
      one.hashText(text)
      const bytes = Buffer.from(`xyz-${text}xyz`)
      const words = new Int32Array(Math.ceil(bytes.length / 4))
      bytes.copy(new Uint8Array(words.buffer))
      other.hashWords(words, 1, bytes.length - 7)
      assert.deepEqual([one.high, one.low, one.check], [other.high, other.low, other.check])
    }),
  )
})

test('among a million names no two have one hash, and slots are taken evenly', () => {
  const hash = new KeyHash([1, 2])
  const seen = new Set<bigint>()
  const parts = new Uint32Array(64)
  for (let number = 0; number < 1_000_000; number++) {
    hash.hashText(`user${number}@example.com`)
    seen.add((BigInt(hash.high) << 32n) | BigInt(hash.low))
    const part = homeSlot(hash.high, 64)
    parts[part] = (parts[part] ?? 0) + 1
  }
  assert.equal(seen.size, 1_000_000)
  for (const count of parts) assert.ok(Math.abs(count - 15_625) < 1000, `${count}`)
})

test('another seed gives another hash', () => {
  const [one, other] = [new KeyHash([1, 2]), new KeyHash([1, 3])]
  one.hashText('ann@example.com')
  other.hashText('ann@example.com')
  assert.notDeepEqual([one.high, one.low], [other.high, other.low])
})

interface Slot {
  readonly high: number
  readonly low: number
}

/** Looks for a hash as a reader does: from its home to a free slot or a greater hash. */
function findSlot(slots: Uint32Array, capacity: number, { high, low }: Slot): number | undefined {
  for (let slot = homeSlot(high, capacity); ; slot++) {
    const slotHigh: number = slots[slot * 3] ?? 0
    const slotLow: number = slots[slot * 3 + 1] ?? 0
    const value: number = slots[slot * 3 + 2] ?? 0
    if (value === 0 || slotHigh > high) return undefined
    if (slotHigh === high && slotLow === low) return value
    if (slotHigh === high && slotLow > low) return undefined
  }
}

test('every entry is found and nothing else, also where hashes crowd at an end', async () => {
  const lane = fc.oneof(word, fc.constantFrom(0, 1, 0xfffffffe, 0xffffffff, 0x80000000))
  const entry = fc.record({ high: lane, low: lane })
  const many = fc.uniqueArray(entry, {
    maxLength: 400,
    selector: ({ high, low }) => `${high} ${low}`,
  })
  await fc.assert(
    fc.asyncProperty(many, entry, async (list, other) => {
      const entries = new EntryBuckets()
      for (const [number, { high, low }] of list.entries()) {
        entries.add(high, low, 7, entryValue('user_map', (number % 5) + 1), number + 1)
      }
      const built = await buildIndex([entries.share()])
      assert.ok(built)
      assert.equal(built.slots.at(-1), 0)
      for (const [number, one] of list.entries()) {
        const value: number = findSlot(built.slots, built.capacity, one) ?? 0
        assert.deepEqual(built.pairs[value - 1], [(number % 5) + 1, 0])
      }
      if (!list.some(({ high, low }) => high === other.high && low === other.low)) {
        assert.equal(findSlot(built.slots, built.capacity, other), undefined)
      }
    }),
    { numRuns: 200 },
  )
})

test('thousands of the greatest hashes run over the end and are found', async () => {
  const entries = new EntryBuckets()
  for (let low = 0; low < 5000; low++) {
    entries.add(0xffffffff, low, 7, entryValue('popmap', 1), low + 1)
  }
  const built = await buildIndex([entries.share()])
  assert.ok(built)
  for (let low = 0; low < 5000; low++) {
    assert.equal(findSlot(built.slots, built.capacity, { high: 0xffffffff, low }), 1)
  }
  assert.equal(findSlot(built.slots, built.capacity, { high: 0xffffffff, low: 5000 }), undefined)
})

test('two keys with one hash ask for another seed', async () => {
  const entries = new EntryBuckets()
  entries.add(5, 6, 7, entryValue('user_map', 1), 1)
  entries.add(5, 6, 8, entryValue('user_map', 1), 2)
  assert.equal(await buildIndex([entries.share()]), undefined)
})

test('a key of several sources is one slot, a key that stands twice in one is told', async () => {
  const entries = new EntryBuckets()
  entries.add(5, 6, 7, entryValue('user_map', 1), 10)
  entries.add(5, 6, 7, entryValue('popmap', 2), 20)
  entries.add(5, 6, 7, entryValue('popmap', 2), 30)
  entries.add(9, 6, 7, entryValue('aliases', 0), 40)
  entries.add(9, 6, 7, entryValue('user_map', 3), 50)
  const built = await buildIndex([entries.share()])
  assert.ok(built)
  assert.equal(built.keys, 2)
  assert.deepEqual(built.pairs, [[1, 2]])
  assert.deepEqual(built.duplicates, [{ first: 20, second: 30, same: true }])
  assert.equal(findSlot(built.slots, built.capacity, { high: 5, low: 6 }), 1)
  const second = findSlot(built.slots, built.capacity, { high: 9, low: 6 })
  assert.equal(second, (referenceBit | jointBit | 1) >>> 0)
  assert.deepEqual([...built.joints.subarray(0, 6)], [0, 10, 20, 40, 50, 0])
})
