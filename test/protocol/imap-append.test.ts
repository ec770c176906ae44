import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  appendCommand,
  type AppendOffers,
  appendOffers,
  messageHead,
  readAppendUid,
} from '../../src/protocol/imap/append.ts'

const head = {
  flags: ['\\Seen', 'x'],
  date: ' 1-Jan-2020 10:00:00 +0200',
  sizeBytes: 5000,
  hasNul: false,
  isAsked: false,
}
const offers: AppendOffers = { multiple: true, uids: true, literals: 'plus', binary: true }

test('what is offered is read of capabilities in any case', () => {
  assert.deepEqual(appendOffers('IMAP4rev1 multiappend Literal+ BINARY uidplus'), offers)
  assert.deepEqual(appendOffers('IMAP4rev1'), {
    multiple: false,
    uids: false,
    literals: 'asked',
    binary: false,
  })
  const { literals, uids } = appendOffers('IMAP4rev2 IMAP4rev1')
  assert.deepEqual([literals, uids], ['minus', true])
})

test('names are quoted and in modified UTF-7', () => {
  assert.equal(appendCommand('A1', 'a "b" ü'), 'A1 APPEND "a \\"b\\" &APw-"')
})

const heads: readonly [string, object, Partial<AppendOffers>, string, boolean][] = [
  [
    'LITERAL+ sends any size unasked',
    {},
    {},
    ' (\\Seen x) " 1-Jan-2020 10:00:00 +0200" {5000+}\r\n',
    false,
  ],
  [
    'LITERAL- sends small ones unasked',
    { sizeBytes: 4096, flags: [], date: '' },
    { literals: 'minus' },
    ' {4096+}\r\n',
    false,
  ],
  [
    'LITERAL- asks for large ones',
    { sizeBytes: 4097, flags: [], date: '' },
    { literals: 'minus' },
    ' {4097}\r\n',
    true,
  ],
  [
    'without either all are asked for',
    { sizeBytes: 1, flags: [], date: '' },
    { literals: 'asked' },
    ' {1}\r\n',
    true,
  ],
  [
    'one that streams is asked for',
    { isAsked: true, flags: [], date: '' },
    {},
    ' {5000}\r\n',
    true,
  ],
  [
    'NUL needs a literal of its own',
    { hasNul: true, flags: [], date: '' },
    {},
    ' ~{5000+}\r\n',
    false,
  ],
  [
    'NUL goes as it is where there is none',
    { hasNul: true, flags: [], date: '' },
    { binary: false },
    ' {5000+}\r\n',
    false,
  ],
  [
    'flags stand before a date, also without any',
    { flags: [] },
    {},
    ' () " 1-Jan-2020 10:00:00 +0200" {5000+}\r\n',
    false,
  ],
]

for (const [name, changes, offered, text, isAsked] of heads) {
  test(name, () => {
    const written = messageHead({ ...head, ...changes }, { ...offers, ...offered })
    assert.deepEqual(written, { text, isAsked })
  })
}

test('numbers of what was stored are in the order of the messages', () => {
  assert.deepEqual(readAppendUid('38505 3955', 1), { uidValidity: 38505, uids: [3955] })
  assert.deepEqual(readAppendUid('1 304,319:320', 3), { uidValidity: 1, uids: [304, 319, 320] })
  for (const text of ['1 1:2', '1 1:4294967295', '1', '1 0:2', '1 3:1', 'x 1:3', '1 1,,2']) {
    assert.equal(readAppendUid(text, 3), undefined, text)
  }
})
