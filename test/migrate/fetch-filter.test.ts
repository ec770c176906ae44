import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type FetchedItems, FetchFilter } from '../../src/migrate/fetch-filter.ts'
import { runs } from '../support/runs.ts'

/** What passes of `said`, cut into pieces of such sizes, and what is taken. */
function sift(said: string, sizes: readonly number[] = []) {
  const taken: FetchedItems[] = []
  const filter = new FetchFilter()
  filter.taker = (items) => taken.push(items)
  const bytes = Buffer.from(said, 'latin1')
  const passed: Buffer[] = []
  let at = 0
  for (const size of [...sizes, bytes.length]) {
    passed.push(...filter.pass(bytes.subarray(at, at + size)))
    at += size
  }
  return { passed: Buffer.concat(passed).toString('latin1'), taken }
}

const octets = fc.string({ unit: fc.constantFrom('a', '\r\n', ')', '\0', '\xff', '}', '{3}\r\n') })
const spelled = fc.record({
  literal: fc.constantFrom('{', '~{'),
  isQuoted: fc.boolean(),
  isLow: fc.boolean(),
  end: fc.constantFrom('\r\n', '\n'),
  isTurned: fc.boolean(),
})

/** A response, and what it tells. */
const response = fc
  .record({
    uid: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    flags: fc.option(fc.constantFrom('', '\\Seen', '\\Seen $Junk a.b')),
    date: fc.option(fc.constant(' 7-Feb-2021 10:00:00 +0100')),
    sizeBytes: fc.option(fc.integer({ min: 0, max: 2 ** 40 })),
    body: fc.option(octets),
    spelled,
  })
  .map(({ uid, flags, date, sizeBytes, body, spelled: how }) => {
    const name = (text: string): string => (how.isLow ? text.toLowerCase() : text)
    const isQuotable = how.isQuoted && body !== null && /^[a)}]*$/.test(body)
    const items = [
      `${name('UID')} ${uid}`,
      ...(flags === null ? [] : [`${name('FLAGS')} (${flags})`]),
      ...(date === null ? [] : [`${name('INTERNALDATE')} "${date}"`]),
      ...(sizeBytes === null ? [] : [`${name('RFC822.SIZE')} ${sizeBytes}`]),
      ...(body === null
        ? []
        : [`${name('BODY[]')} ${isQuotable ? `"${body}"` : literalOf(how.literal, body)}`]),
    ]
    if (how.isTurned) items.reverse()
    const told: FetchedItems = { uid }
    if (flags !== null) told.flags = flags
    if (date !== null) told.date = date
    if (sizeBytes !== null) told.sizeBytes = sizeBytes
    if (body !== null) told.body = Buffer.from(body, 'latin1')
    return { said: `* 1 ${name('FETCH')} (${items.join(' ')})${how.end}`, told }
  })

function literalOf(mark: string, body: string): string {
  return `${mark}${body.length}}\r\n${body}`
}

/** What is none of these, or not as they are written. */
const other = fc.constantFrom(
  '* 3 EXISTS\r\n',
  '* 1 FETCH (FLAGS (\\Seen))\r\n',
  '* 1 FETCH (UID 1 ENVELOPE NIL)\r\n',
  '* 1 FETCH (UID 1 BODY[] {2}\r\nab ENVELOPE {2}\r\n)\r\n)\r\n',
  '* 1 FETCH (UID 1 BODY[] "a\\"b")\r\n',
  '* 1 FETCH (UID 1 FLAGS (\xe4))\r\n',
  '* 1 FETCH  (UID 1)\r\n',
  '* 1 FETCH (UID 1) \r\n',
  '* 1 FETCH ()\r\n',
  '* 1 FETCH (UID 1 FLAGS (*))\r\n',
  '* 1 FETCH (UID 1 BODY[] {1}\r\nx BODY[] {1}\r\ny)\r\n',
  '* LIST () "/" {24}\r\n* 1 FETCH (UID 1)\r\n* 2 X\r\n',
  '* 1 FETCH (BODY[] {9000000}\r\n' + 'x'.repeat(9_000_000) + ' UID 1)\r\n',
  `* SEARCH${' 12345'.repeat(20_000)}\r\n`,
  `* SEARCH${' 1'.repeat(40_000)} {18}\r\n* 1 FETCH (UID 1)\r\n`,
  '5 OK FETCH completed.\r\n',
  '\r\n',
)

const cuts = fc.array(fc.integer({ min: 0, max: 80 }), { maxLength: 60 })

test('answers are taken with all they tell, all else passes as it came, in whatever pieces', () => {
  const all = fc.array(fc.oneof({ weight: 5, arbitrary: response }, other), { maxLength: 12 })
  fc.assert(
    fc.property(all, cuts, (parts, sizes) => {
      const textOf = (part: (typeof parts)[0]): string => {
        return typeof part === 'string' ? part : part.said
      }
      // An answer that passes is not overtaken by a later one.
      const odd = parts.findIndex(
        (part) => typeof part === 'string' && part.startsWith('* 1 FETCH'),
      )
      const isTaken = parts.map((part, index) => {
        return typeof part !== 'string' && (odd === -1 || index < odd)
      })
      const { passed, taken } = sift(parts.map(textOf).join(''), sizes)
      assert.equal(
        passed,
        parts
          .filter((_, index) => !isTaken[index])
          .map(textOf)
          .join(''),
      )
      assert.deepEqual(
        taken,
        parts.flatMap((part, index) => {
          return typeof part === 'string' || !isTaken[index] ? [] : [part.told]
        }),
      )
    }),
    runs(200),
  )
})

test('what was not asked for passes, and so does what is asked for within it', () => {
  const filter = new FetchFilter()
  const taken: FetchedItems[] = []
  const pass = (text: string): string => {
    return Buffer.concat(filter.pass(Buffer.from(text, 'latin1'))).toString('latin1')
  }
  assert.equal(
    pass('* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2 BODY[] {24}\r\n* 1'),
    '* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2 BODY[] {24}\r\n* 1',
  )
  filter.taker = (items) => taken.push(items)
  assert.equal(pass(' FETCH (UID 3)\r\n* 3 '), ' FETCH (UID 3)\r\n* 3 ')
  assert.equal(pass(' FETCH (UID 4)\r\n'), ' FETCH (UID 4)\r\n')
  assert.equal(pass('* 1 FETCH (UID 5 BODY[] {3}\r\nab'), '')
  filter.taker = undefined
  assert.equal(pass('c)\r\n'), '* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n')
  assert.deepEqual(taken, [])
})

test('a literal whose size cannot be known ends all taking', () => {
  for (const size of ['9'.repeat(16), '9'.repeat(40), `${'0'.repeat(40)}3`]) {
    const said = `* X {${size}}\r\nabc* 1 FETCH (UID 1)\r\n`
    assert.deepEqual(sift(said), { passed: said, taken: [] })
    const long = `* X${' y'.repeat(35_000)}${said}`
    assert.deepEqual(sift(long, [70_003]), { passed: long, taken: [] })
  }
  const padded = `* X {${'0'.repeat(10)}3}\r\nabc\r\n`
  assert.deepEqual(sift(`${padded}* 1 FETCH (UID 1)\r\n`), { passed: padded, taken: [{ uid: 1 }] })
})

test('what a hostile server says takes neither all time nor all memory', () => {
  const filter = new FetchFilter()
  filter.taker = () => undefined
  const digits = Buffer.from(`* ${'1'.repeat(16_000_000)}x}\r\n`)
  assert.equal(filter.pass(digits)[0]?.length, digits.length)
  const many = Buffer.from(`* 1 FETCH (UID 1${' BODY[] {0}\r\n'.repeat(200_000)} X)\r\n`)
  assert.equal(Buffer.concat(filter.pass(many)).length, many.length)
})

test('a message that came at once is not copied, but for a small part of what came', () => {
  const taken: FetchedItems[] = []
  for (const rest of [0, 2000]) {
    const body = 'x'.repeat(100)
    const said = `* 1 FETCH (UID 1 BODY[] {100}\r\n${body})\r\n${'y'.repeat(rest)}`
    const filter = new FetchFilter()
    filter.taker = (items) => taken.push(items)
    // As a read has it: a buffer of its own.
    const bytes = Buffer.from(new TextEncoder().encode(said).buffer)
    filter.pass(bytes)
    assert.equal(taken.at(-1)?.body?.buffer === bytes.buffer, rest === 0)
    for (const byte of bytes) filter.pass(Buffer.of(byte))
    for (const { body: found } of taken.splice(0)) assert.equal(String(found), body)
  }
})
