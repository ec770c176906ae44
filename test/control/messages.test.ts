import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { FrameReader } from '../../src/control/frame-reader.ts'
import { formatFrame, parseAnswer, parseRequest } from '../../src/control/messages.ts'

test('a request of this version is understood', () => {
  for (const verb of ['status', 'reload'] as const) {
    const text = formatFrame({ v: 1, do: verb })
    assert.deepEqual(parseRequest(text), { request: { v: 1, do: verb } })
  }
})

const strangers = [
  ['', 'BAD_FRAME'],
  ['status', 'BAD_FRAME'],
  ['[]', 'BAD_FRAME'],
  ['null', 'BAD_FRAME'],
  ['7', 'BAD_FRAME'],
  ['{"v":1,"do":"status"', 'BAD_FRAME'],
  ['{}', 'BAD_VERSION'],
  ['{"v":"1","do":"status"}', 'BAD_VERSION'],
  ['{"v":2,"do":"status"}', 'BAD_VERSION'],
  ['{"v":1}', 'BAD_REQUEST'],
  ['{"v":1,"do":"toString"}', 'BAD_REQUEST'],
  ['{"v":1,"do":["status"]}', 'BAD_REQUEST'],
] as const

test('what is no request is told why', () => {
  for (const [text, code] of strangers) {
    const parsed = parseRequest(text)
    assert.equal('refused' in parsed ? parsed.refused.code : 'taken', code, text)
  }
})

test('no text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      parseRequest(text)
      parseAnswer(text)
    }),
  )
})

test('an answer comes back as it was sent', () => {
  const refused = { v: 1, error: { code: 'X', message: 'no', problems: ['one', 'two'] } } as const
  assert.deepEqual(parseAnswer(formatFrame(refused)), refused)
  assert.deepEqual(parseAnswer('{"v":1,"result":{"pid":7}}'), { v: 1, result: { pid: 7 } })
})

test('what is no answer of this version is none', () => {
  for (const text of [
    '',
    '{}',
    '{"v":2,"result":1}',
    '{"v":1}',
    '{"v":1,"error":{}}',
    'HTTP/1.1',
  ]) {
    assert.equal(parseAnswer(text), undefined, text)
  }
})

test('frames are the same however their bytes are cut', () => {
  const frames = fc.array(
    fc.string({ unit: 'binary', minLength: 1 }).map((text) => JSON.stringify(text)),
  )
  fc.assert(
    fc.property(frames, fc.array(fc.nat(40)), (texts, sizes) => {
      const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
      const reader = new FrameReader(1000)
      const events = []
      let at = 0
      for (const size of sizes) {
        events.push(...reader.push(bytes.subarray(at, at + size)))
        at += size
      }
      events.push(...reader.push(bytes.subarray(at)))
      assert.deepEqual(
        events,
        texts.map((text) => ({ kind: 'frame', text })),
      )
    }),
  )
})

test('a frame beyond the bound is refused once, and nothing is read after it', () => {
  const reader = new FrameReader(10)
  assert.deepEqual(reader.push(Buffer.from('0123456789\n')), [
    { kind: 'frame', text: '0123456789' },
  ])
  assert.deepEqual(reader.push(Buffer.from('0123456')), [])
  assert.deepEqual(reader.push(Buffer.from('789ab\n{"v":1}\n')), [{ kind: 'too-long' }])
  assert.deepEqual(reader.push(Buffer.from('{"v":1}\n')), [])
})
