import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  appendDate,
  FetchAnswers,
  readFetched,
  readFound,
  secondsOf,
  type Token,
} from '../../src/migrate/fetch-attributes.ts'

const atom = (value: string): Token => ({ type: 'ATOM', value })

test('what FETCH tells is read by name, in any order', () => {
  const body = Buffer.from('x\0y')
  const pairs: Token[][] = [
    [atom('BODY'), { type: 'LITERAL', value: body }],
    [atom('RFC822.SIZE'), atom('3')],
    [atom('FLAGS'), [atom('\\seen'), atom('b'), atom('\\Recent')]],
    [atom('INTERNALDATE'), { type: 'STRING', value: ' 1-Jan-2020 08:00:00 +0000' }],
    [atom('UID'), atom('7')],
    [atom('MODSEQ'), [atom('12')]],
  ]
  const attributes: Token[] = [atom('FETCH'), pairs.flat()]
  assert.deepEqual(readFetched(attributes), {
    uid: 7,
    flags: '\\Seen b',
    date: ' 1-Jan-2020 08:00:00 +0000',
    sizeBytes: 3,
    body,
  })
})

test('a message without octets comes as NIL or as an empty string', () => {
  for (const empty of [null, { type: 'STRING', value: '' }]) {
    const found = readFetched([atom('FETCH'), [atom('UID'), atom('1'), atom('BODY'), empty]])
    assert.deepEqual(found?.body, Buffer.alloc(0))
  }
})

test('what others change meanwhile is not taken for an answer', () => {
  const answers = new FetchAnswers(['flags', 'sizeBytes'], (uid) => uid > 6)
  const say = (...pairs: Token[]): void => answers.take([atom('FETCH'), pairs])
  const flags = (flag: string): Token[] => [atom('FLAGS'), [atom(flag)]]
  say(...flags('x'), atom('UID'), atom('5'))
  say(...flags('x'), atom('UID'), atom('8'))
  say(atom('UID'), atom('7'), atom('RFC822.SIZE'), atom('3'), ...flags('old'))
  say(...flags('new'), atom('UID'), atom('7'), atom('MODSEQ'), [atom('12')])
  say(atom('UID'), atom('9'), atom('RFC822.SIZE'), atom('4'))
  say(...flags('y'), atom('UID'), atom('9'))
  const none = { date: '', body: undefined }
  assert.deepEqual(answers.whole, [
    { uid: 7, flags: 'new', sizeBytes: 3, ...none },
    { uid: 9, flags: 'y', sizeBytes: 4, ...none },
  ])
})

test('messages come by rising UID, whichever is told of first', () => {
  const answers = new FetchAnswers(['sizeBytes'], () => true)
  const say = (...pairs: Token[]): void => answers.take([atom('FETCH'), pairs])
  say(atom('UID'), atom('9'), atom('FLAGS'), [atom('x')])
  for (const uid of ['1', '2', '9']) say(atom('UID'), atom(uid), atom('RFC822.SIZE'), atom('3'))
  assert.deepEqual(
    answers.whole.map(({ uid }) => uid),
    [1, 2, 9],
  )
})

test('what has no UID was not asked for', () => {
  assert.equal(readFetched([atom('FETCH'), [atom('FLAGS'), []]]), undefined)
  assert.equal(readFetched([atom('FETCH')]), undefined)
})

test('UIDs are found in SEARCH and in ESEARCH', () => {
  assert.equal(readFound([atom('3'), atom('5')]), '3,5')
  const tag: Token = [atom('TAG'), atom('9')]
  assert.equal(readFound([tag, atom('UID'), atom('ALL'), atom('1:3,7')]), '1:3,7')
  assert.equal(readFound([tag, atom('UID')]), '')
})

test('dates are instants to compare, and as they were to pass on', () => {
  assert.equal(secondsOf('17-Jul-1996 02:44:25 -0700'), Date.UTC(1996, 6, 17, 9, 44, 25) / 1000)
  assert.equal(secondsOf(' 1-Jan-2020 00:00:00 +0000'), secondsOf('01-Jan-2020 01:00:00 +0100'))
  assert.equal(secondsOf('yesterday'), undefined)
  assert.equal(appendDate('01-Jan-2020 01:00:00 +0100'), ' 1-Jan-2020 01:00:00 +0100')
  assert.equal(appendDate(' 1-Jan-2020 01:00:00 +0100'), ' 1-Jan-2020 01:00:00 +0100')
  assert.equal(appendDate('17-Jul-1996 02:44:25 -0700'), '17-Jul-1996 02:44:25 -0700')
  assert.equal(appendDate('yesterday'), '')
})
