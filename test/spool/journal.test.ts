import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatRecord, type JournalRecord, readJournal } from '../../src/spool/journal.ts'

const text = fc.string({ unit: 'binary' })
const plain = { noNullPrototype: true } as const
const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({ do: fc.constant('attempt'), at: fc.nat() }, plain),
  fc.record(
    {
      do: fc.constant('outcomes'),
      at: fc.nat(),
      outcomes: fc.array(
        fc.record(
          {
            recipients: fc.array(fc.nat(1000)),
            result: fc.constantFrom('delivered', 'failed', 'deferred', 'removed'),
            backend: text,
            code: fc.nat(599),
            status: text,
            text,
          },
          plain,
        ),
      ),
    },
    plain,
  ),
  fc.record({ do: fc.constant('ended'), at: fc.nat(), next: fc.nat() }, plain),
  fc.record({ do: fc.constant('interrupted'), crashed: fc.boolean() }, plain),
)

test('what is written is read', () => {
  fc.assert(
    fc.property(fc.array(record), (records) => {
      const bytes = Buffer.concat(records.map(formatRecord))
      assert.deepEqual(readJournal(bytes), { records, goodBytes: bytes.length, state: 'whole' })
    }),
  )
})

test('a journal that is cut anywhere gives the whole records before the cut, and is torn', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1 }), fc.nat(), (records, at) => {
      const pieces = records.map(formatRecord)
      const bytes = Buffer.concat(pieces)
      const cut = at % bytes.length
      let whole = 0
      let goodBytes = 0
      for (const { length } of pieces) {
        if (goodBytes + length > cut) break
        goodBytes += length
        whole++
      }
      const state = goodBytes === cut ? 'whole' : 'torn'
      const read = readJournal(bytes.subarray(0, cut))
      assert.deepEqual(read, { records: records.slice(0, whole), goodBytes, state })
    }),
  )
})

function stateOf(...parts: (Buffer | string)[]): string {
  return readJournal(Buffer.concat(parts.map((part) => Buffer.from(part as string)))).state
}

test('a hole after the last record is torn, anything else is damage', () => {
  const good = formatRecord({ do: 'attempt', at: 1 })
  assert.equal(stateOf(good, Buffer.alloc(5)), 'torn')
  assert.equal(stateOf(good, '+12 '), 'torn')
  assert.equal(stateOf(good, '+12 0123\0\0\0'), 'torn')
  assert.equal(stateOf(good, 'junk'), 'damaged')
  assert.equal(stateOf('x', good), 'damaged')
  const flipped = Buffer.from(good)
  flipped[25] = (flipped[25] ?? 0) ^ 1
  assert.equal(stateOf(flipped, good), 'damaged')
  assert.equal(stateOf('+2 7e3265a8 {}\n', good), 'damaged')
})
