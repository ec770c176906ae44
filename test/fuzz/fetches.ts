/** Responses to FETCH that are taken out of what a server says, as a target. */
import assert from 'node:assert/strict'
import { type FetchedItems, FetchFilter } from '../../src/migrate/fetch-filter.ts'
import type { Target } from './explore.ts'

/** Of what is cut into single octets. */
const longest = 2000

/** Whole, in pieces that fit nothing, and octet by octet. */
const cuts: readonly ((text: string) => readonly string[])[] = [
  (text) => [text],
  (text) => text.match(/[^]{1,61}/g) ?? [],
  (text) => (text.length < longest ? Array.from(text) : [text]),
]

interface Sifted {
  readonly passed: string
  readonly taken: readonly FetchedItems[]
}

function sift(text: string, cut: (typeof cuts)[0], isAsked: boolean): Sifted {
  const filter = new FetchFilter()
  const taken: FetchedItems[] = []
  if (isAsked) filter.taker = (items) => taken.push(items)
  const passed = cut(text).flatMap((piece) => filter.pass(Buffer.from(piece, 'latin1')))
  return { passed: Buffer.concat(passed).toString('latin1'), taken }
}

/** What a server has said, a response each; the last has not ended, if it is not ''. */
function responsesOf(text: string): string[] {
  const responses: string[] = []
  let start = 0
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at) + 1 || text.length
    const [, size] = /\{(\d+)\}\r?\n$/.exec(text.slice(at, end)) ?? []
    at = end + Number(size ?? 0)
    if (size !== undefined || text[end - 1] !== '\n') continue
    responses.push(text.slice(start, at))
    start = at
  }
  return [...responses, text.slice(start)]
}

function isOf(response: string, { uid, flags, date, sizeBytes, body }: FetchedItems): boolean {
  return (
    /^\* \d+ FETCH \([^]*\)\r?\n$/i.test(response) &&
    new RegExp(`UID 0*${uid}\\b`, 'i').test(response) &&
    [flags, date, sizeBytes, body?.toString('latin1')].every((one) => {
      return one === undefined || response.includes(String(one))
    })
  )
}

function play(input: string): readonly string[] {
  const [whole, ...others] = cuts.map((cut) => sift(input, cut, true))
  assert.ok(whole !== undefined)
  for (const other of others) {
    assert.deepEqual(other.taken, whole.taken, 'in whatever pieces')
    // How much of a line that is too long has passed depends on when it is known to be.
    if (input.length < longest) assert.equal(other.passed, whole.passed, 'in whatever pieces')
  }
  const seen: string[] = []
  let [at, count] = [0, 0]
  const responses = responsesOf(input)
  const tail = responses.pop() ?? ''
  for (const response of responses) {
    const items: FetchedItems | undefined = whole.taken[count]
    const isTaken = !whole.passed.startsWith(response, at)
    if (isTaken) {
      assert.ok(items !== undefined && isOf(response, items), 'whole responses pass, as they came')
      count++
    } else at += response.length
    seen.push(`${Object.keys((isTaken && items) || {}).join()} ${/\{\d+\}/.test(response)}`)
  }
  assert.equal(count, whole.taken.length)
  assert.ok(tail.startsWith(whole.passed.slice(at)), 'nothing is new')
  const unasked = sift(input, (text) => [text], false)
  assert.ok(input.startsWith(unasked.passed))
  assert.deepEqual(unasked.taken, [])
  return seen
}

const seeds = [
  '* 1 FETCH (UID 7 FLAGS (\\Seen x) INTERNALDATE " 1-Jan-2020 08:00:00 +0000" RFC822.SIZE 3)\r\n',
  '* 2 FETCH (UID 8 BODY[] {5}\r\nab\r\n) FLAGS ())\r\n* 3 EXPUNGE\r\n* 2 FETCH (UID 9 BODY[] NIL)\r\n',
  '* 2 FETCH (FLAGS (a) MODSEQ (12) BODY[HEADER.FIELDS (MESSAGE-ID)] "" UID 3)\r\n* 1 FETCH (FLAGS ())\r\n',
  '* 1 FETCH (UID 4 BODY[]<0> ~{2}\r\n{} UID 5 ENVELOPE {3}\r\n)\r\n x)\r\na1 OK {x}\r\n',
  '* LIST () "/" {3}\r\nabc\r\n* X {0}\r\n\r\n* 9 FETCH (BODY[] {0}\r\n UID 1)\n',
]

export const imapFetches: Target = {
  name: 'imap-fetches',
  words: [
    ...seeds.flatMap((seed) => seed.split(/(?<=[\n ])/)),
    '{70000}\r\n',
    '{4294967295}\r\n',
    '{9999999999999999}\r\n',
    '{000000001}\r\n',
    '{',
    '}',
    '\r\n',
    '\r',
    '\n',
    ')',
    '(',
    ' ',
    '"',
    '\0',
    '\xe9',
    'NIL',
    '* 1 FETCH (UID 6)\r\n',
  ],
  seeds,
  play,
}
