import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readUids } from '../../src/migrate/uidl-formats.ts'
import { matchMessages, type MatchSide } from '../../src/migrate/match-messages.ts'

const hex = (number: number): string => number.toString(16).padStart(8, '0')
const validity = 1_700_000_000
const has = (uid: number): boolean => uid < 1000

const formats: readonly [server: string, (uid: number) => string][] = [
  ['Dovecot', (uid) => hex(uid) + hex(validity)],
  ['Dovecot in capitals', (uid) => (hex(uid) + hex(validity)).toUpperCase()],
  ['UW', (uid) => hex(validity) + hex(uid)],
  ['Cyrus', (uid) => `${validity}.${uid}`],
  ['Cyrus after Courier', (uid) => `${validity}-${uid}`],
  ['Courier', (uid) => `UID${uid}-${validity}`],
  ['old Cyrus', String],
]

for (const [server, uidlOf] of formats) {
  test(`${server}: a UIDL says which message it is of`, () => {
    const uids = [1, 7, 255, 999]
    const expected = new Map(uids.map((uid) => [uidlOf(uid), uid]))
    assert.deepEqual(readUids(expected.keys(), validity, has), expected)
  })
}

test('UIDLs of another UIDVALIDITY, or of no format, say nothing', () => {
  for (const uidls of [[hex(1) + hex(validity + 1)], ['1.x', '', '0123456789abcdef0'], []]) {
    assert.deepEqual(readUids(uidls, validity, has), new Map())
  }
})

test('those that were brought from an older server are left out, the others are read', () => {
  const uidls = ['1234.5', `${hex(3)}${hex(validity)}`, 'GmailId1', `${hex(4)}${hex(validity)}`]
  assert.deepEqual([...readUids(uidls, validity, has).values()], [3, 4])
})

test('numbers alone are UIDs only where all are, and of messages that are there', () => {
  for (const uidls of [
    ['1', '2', 'x'],
    ['1', '2', '1000'],
  ]) {
    assert.deepEqual(readUids(uidls, validity, has), new Map())
  }
})

function side(messages: readonly [key: number, size: number, header?: string][]): MatchSide & {
  readonly asked: number[]
} {
  const asked: number[] = []
  return {
    asked,
    messages: messages.map(([key, sizeBytes]) => ({ key, sizeBytes })),
    headers: async (keys) => {
      asked.push(...keys)
      return new Map(
        messages.flatMap(([key, , header]) =>
          keys.includes(key) && header !== undefined ? [[key, header] as const] : [],
        ),
      )
    },
  }
}

test('messages are known by their size, and those of one size by their header, in order', async () => {
  const one = side([
    [1, 10],
    [2, 20, 'b'],
    [3, 20, 'a'],
    [4, 30, 'c'],
    [5, 30, 'c'],
  ])
  const other = side([
    [11, 20, 'a'],
    [12, 30, 'c'],
    [13, 10],
    [14, 20, 'b'],
    [15, 30, 'c'],
  ])
  const found = await matchMessages(one, other)
  assert.deepEqual(found, [
    [1, 13],
    [2, 14],
    [3, 11],
    [4, 12],
    [5, 15],
  ])
  assert.deepEqual(one.asked, [2, 3, 4, 5])
})

test('sizes that are not the same on both sides are not believed', async () => {
  const one = side([
    [1, 10, 'a'],
    [2, 20, 'b'],
    [3, 30, 'new'],
  ])
  const other = side([
    [11, 20, 'a'],
    [12, 10, 'b'],
    [13, 5],
  ])
  assert.deepEqual(await matchMessages(one, other), [
    [1, 11],
    [2, 12],
  ])
})
