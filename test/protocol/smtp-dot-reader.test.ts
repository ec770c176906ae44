import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  type DotOptions,
  DotReader,
  type MessageFault,
} from '../../src/protocol/smtp/dot-reader.ts'
import { runs } from '../support/runs.ts'

interface Reading {
  passed: string
  rest: string | undefined
  fault: MessageFault | undefined
}

const large = 1 << 30

function read(chunks: readonly Buffer[], options: Partial<DotOptions> = {}): Reading {
  const reader = new DotReader({ bareNewline: 'reject', limitBytes: large, ...options })
  const reading: Reading = { passed: '', rest: undefined, fault: undefined }
  for (const chunk of chunks) {
    if (reading.rest !== undefined) {
      reading.rest += chunk.toString('latin1')
      continue
    }
    const { pass, end, fault } = reader.push(chunk)
    assert.ok(fault === undefined || reading.fault === undefined, 'a fault is told once')
    if (reading.fault !== undefined || fault !== undefined) assert.equal(pass.length, 0)
    reading.fault ??= fault
    reading.passed += Buffer.concat(pass).toString('latin1')
    if (end !== undefined) reading.rest = chunk.subarray(end).toString('latin1')
    else if (reading.fault === undefined)
      assert.doesNotMatch(reading.passed, /\r$|\r\n\.\r?$|^\.\r?$/)
  }
  return reading
}

function whole(text: string, options: Partial<DotOptions> = {}): Reading {
  return read([Buffer.from(text, 'latin1')], options)
}

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

const accepted: readonly [text: string, passed: string, rest: string][] = [
  ['.\r\n', '', ''],
  ['x\r\n.\r\n', 'x\r\n', ''],
  ['\r\n.\r\n', '\r\n', ''],
  ['x\r\n..\r\n.\r\n', 'x\r\n..\r\n', ''],
  ['..x\r\n...\r\n.x\r\n.\r\n', '..x\r\n...\r\n.x\r\n', ''],
  ['x\r\n.\r\nMAIL FROM:<a@b>\r\n', 'x\r\n', 'MAIL FROM:<a@b>\r\n'],
  ['a\tb\x01\x0b\x0c\xff\r\n.\r\n', 'a\tb\x01\x0b\x0c\xff\r\n', ''],
  ['x\r\n.\r\n.\r\n', 'x\r\n', '.\r\n'],
]

for (const [text, passed, rest] of accepted) {
  test(`${JSON.stringify(text)} is a message and what follows it`, () => {
    assert.deepEqual(whole(text), { passed, rest, fault: undefined })
  })
}

const refused: readonly [text: string, fault: MessageFault][] = [
  ['x\n.\nMAIL\r\n.\r\nQ', 'bare_lf'],
  ['x\n.\r\nMAIL\r\n.\r\nQ', 'bare_lf'],
  ['x\r\n.\nMAIL\r\n.\r\nQ', 'bare_lf'],
  ['x\r.\rMAIL\r\n.\r\nQ', 'bare_cr'],
  ['x\r.\r\nMAIL\r\n.\r\nQ', 'bare_cr'],
  ['x\n.\rMAIL\r\n.\r\nQ', 'bare_lf'],
  ['x\r.\nMAIL\r\n.\r\nQ', 'bare_cr'],
  ['x\r\n.\rMAIL\r\n.\r\nQ', 'bare_cr'],
  ['x\r\r\n.\r\nQ', 'bare_cr'],
  ['x\r\r\n.\r\r\nM\r\n.\r\nQ', 'bare_cr'],
  ['x\r\n.\r\r\nM\r\n.\r\nQ', 'bare_cr'],
  ['x\r\n\0.\r\nM\r\n.\r\nQ', 'nul_in_data'],
  ['x\r\n.\0\r\nM\r\n.\r\nQ', 'nul_in_data'],
  ['\nx\r\n.\r\nQ', 'bare_lf'],
  ['.\nx\r\n.\r\nQ', 'bare_lf'],
]

for (const [text, fault] of refused) {
  test(`${JSON.stringify(text)} is refused for ${fault}, up to the real end`, () => {
    assert.deepEqual(whole(text), { passed: '', rest: 'Q', fault })
  })
}

test('every cut of every case gives the same reading', () => {
  for (const [text] of [...accepted, ...refused]) {
    const bytes = Buffer.from(text, 'latin1')
    const expected = whole(text)
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const reading = read(cut(bytes, [first, second]))
        assert.deepEqual([reading.rest, reading.fault], [expected.rest, expected.fault], text)
        if (expected.fault === undefined) assert.equal(reading.passed, expected.passed, text)
      }
    }
  }
})

const mended: readonly [text: string, passed: string][] = [
  ['x\n.\ny\r\n.\r\n', 'x\r\n..\r\ny\r\n'],
  ['x\n.\r\ny\r\n.\r\n', 'x\r\n..\r\ny\r\n'],
  ['x\r\n.\ny\r\n.\r\n', 'x\r\n..\r\ny\r\n'],
  ['.\ny\r\n.\r\n', '..\r\ny\r\n'],
  ['x\n\n..\n\r\n.\r\n', 'x\r\n\r\n...\r\n\r\n'],
  ['x\r\n..\n.y\r\n.\r\n', 'x\r\n..\r\n..y\r\n'],
]

for (const [text, passed] of mended) {
  test(`${JSON.stringify(text)} is mended to ${JSON.stringify(passed)}`, () => {
    const expected = { passed, rest: '', fault: undefined }
    assert.deepEqual(whole(text, { bareNewline: 'normalize' }), expected)
    const bytes = Buffer.from(text, 'latin1')
    for (let at = 0; at <= bytes.length; at++) {
      const chunks = cut(bytes, [at])
      assert.deepEqual(read(chunks, { bareNewline: 'normalize' }), expected)
    }
    const bytewise = [...bytes].map((octet) => Buffer.from([octet]))
    assert.deepEqual(read(bytewise, { bareNewline: 'normalize' }), expected)
  })
}

test('a bare CR is refused where bare LFs are mended', () => {
  assert.equal(whole('x\ry\r\n.\r\n', { bareNewline: 'normalize' }).fault, 'bare_cr')
})

/** Text made of what matters: dots, CR, LF, NUL and a little else. */
const hostile = fc
  .array(
    fc.constantFrom('.', '\r', '\n', '\r\n', '\r\n.', 'a', '\0', 'Received: x\r\n', 'y'.repeat(70)),
  )
  .map((parts) => Buffer.from(parts.join('') + '\r\n.\r\nNEXT', 'latin1'))

for (const bareNewline of ['reject', 'normalize'] as const) {
  test(`any chunking gives the same reading (${bareNewline})`, () => {
    fc.assert(
      fc.property(hostile, fc.array(fc.nat(300), { maxLength: 8 }), (bytes, cuts) => {
        const expected = read([bytes], { bareNewline })
        const reading = read(cut(bytes, cuts), { bareNewline })
        assert.deepEqual([reading.rest, reading.fault], [expected.rest, expected.fault])
        if (expected.fault === undefined) assert.equal(reading.passed, expected.passed)
      }),
      runs(3000),
    )
  })

  test(`what is passed holds no bare CR, bare LF, NUL or end of data (${bareNewline})`, () => {
    fc.assert(
      fc.property(hostile, fc.array(fc.nat(300), { maxLength: 8 }), (bytes, cuts) => {
        const { passed } = read(cut(bytes, cuts), { bareNewline })
        assert.doesNotMatch(passed, /\r(?!\n)|(?<!\r)\n|\0|\r\n\.\r\n|^\.\r\n/)
      }),
      runs(3000),
    )
  })
}

test('the first end that a strict parser sees is the end', () => {
  fc.assert(
    fc.property(hostile, (bytes) => {
      const text = bytes.toString('latin1')
      const strict = /(?:^|\r\n)\.\r\n/.exec(text)
      const { rest } = read([bytes])
      assert.equal(rest, strict === null ? undefined : text.slice(strict.index + strict[0].length))
    }),
    runs(3000),
  )
})

test('a message beyond the limit is refused when it has grown beyond it, not at its end', () => {
  const reader = new DotReader({ bareNewline: 'reject', limitBytes: 1000 })
  assert.equal(reader.push(Buffer.alloc(1000, 'x')).fault, undefined)
  assert.equal(reader.push(Buffer.from('x')).fault, 'message_too_big')
  assert.deepEqual(reader.push(Buffer.from('\r\n.\r\nQ')), { pass: [], end: 5, fault: undefined })
  assert.equal(reader.drainedBytes, 5)
})

test('a message of exactly the limit is taken', () => {
  assert.equal(whole(`${'x'.repeat(8)}\r\n.\r\n`, { limitBytes: 10 }).fault, undefined)
  assert.equal(whole(`${'x'.repeat(9)}\r\n.\r\n`, { limitBytes: 10 }).fault, 'message_too_big')
})

const hops = (count: number, name = 'Received') => `${name}: from x\r\n\tby y\r\n`.repeat(count)

test('the fiftieth hop is a loop, however its name is written', () => {
  for (const name of ['Received', 'received ', 'RECEIVED\t', 'ReCeIvEd']) {
    assert.equal(whole(`${hops(49, name)}\r\nx\r\n.\r\n`).fault, undefined, name)
    assert.equal(whole(`${hops(50, name)}\r\nx\r\n.\r\n`).fault, 'loop', name)
  }
})

function own(count: number, ours = 'mx.example.com'): string {
  const lines = [
    'Received: from x ([192.0.2.7])',
    `\tby ${ours} (mailmux) with ESMTP id 1;`,
    '\tnow',
    '',
  ]
  return lines.join('\r\n').repeat(count)
}

test('the third hop of our own is a loop, however few there are of others', () => {
  const options = { ownHop: 'by mx.example.com (mailmux)' }
  const rest = '\r\nby mx.example.com (mailmux)\r\n.\r\n'
  assert.equal(whole(own(2) + rest, options).fault, undefined)
  assert.equal(whole(own(3) + rest, options).fault, 'loop')
  assert.equal(whole(own(40, 'mx2.example.com') + rest, options).fault, undefined)
  assert.equal(whole(own(3, 'bmx.example.com') + rest, options).fault, undefined)
  assert.equal(whole(own(3, 'x by mx.example.com') + rest, options).fault, 'loop')
  const text = own(3) + rest
  for (let at = 1; at < text.length; at += 7) {
    assert.equal(
      read(
        [text.slice(0, at), text.slice(at)].map((one) => Buffer.from(one)),
        options,
      ).fault,
      'loop',
    )
  }
})

test('what only looks like a hop does not count', () => {
  for (const text of [
    `Subject: x\r\n\r\n${hops(60)}.\r\n`,
    `${' Received: x\r\n'.repeat(60)}\r\n.\r\n`,
    `${'Received-SPF: x\r\n'.repeat(60)}\r\n.\r\n`,
    `${'X-Received: x\r\n'.repeat(60)}\r\n.\r\n`,
    `${'Receive: d:\r\n'.repeat(60)}\r\n.\r\n`,
  ]) {
    assert.equal(whole(text).fault, undefined, text.slice(0, 40))
  }
})

test('ten thousand hops are counted in linear time and refused at the fiftieth', () => {
  const reader = new DotReader({ bareNewline: 'reject', limitBytes: large })
  assert.equal(reader.push(Buffer.from(hops(10_000))).fault, 'loop')
})

test('a header section is bounded, a body is not', () => {
  const line = `X: ${'y'.repeat(60)}\r\n`
  assert.equal(whole(`${line.repeat(4200)}\r\n.\r\n`).fault, 'header_too_big')
  assert.equal(whole(`X: y\r\n\r\n${line.repeat(4200)}.\r\n`).fault, undefined)
  assert.equal(whole(`${'x'.repeat(262_200)}\r\n.\r\n`).fault, 'header_too_big')
})

test('the parts of a clean chunk are views of it, not copies', () => {
  const chunk = Buffer.from('x\r\ny\r\n')
  const { pass } = new DotReader({ bareNewline: 'reject', limitBytes: large }).push(chunk)
  assert.equal(pass.length, 1)
  assert.equal(pass[0]?.buffer, chunk.buffer)
})

test('the reader does not mind where in memory a chunk begins', () => {
  const body = Buffer.from(`${'z'.repeat(200)}\r\n${'z'.repeat(37)}\n`)
  for (let shift = 0; shift < 8; shift++) {
    const memory = Buffer.alloc(body.length + 8)
    body.copy(memory, shift)
    const reader = new DotReader({ bareNewline: 'reject', limitBytes: large })
    assert.equal(reader.push(memory.subarray(shift, shift + body.length)).fault, 'bare_lf')
  }
})
