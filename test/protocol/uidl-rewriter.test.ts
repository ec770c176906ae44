import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { UidlRewriter } from '../../src/protocol/pop3/uidl-rewriter.ts'
import { runs } from '../support/runs.ts'

const translate = (uidl: string): string => (uidl === 'plain' ? uidl : `old-${uidl}`)

/** Bytes from the back-end, in a larger buffer whose rest is not to be looked at; what the client gets. */
function pass(rewriter: UidlRewriter, text: string): string {
  const bytes = Buffer.from(`${text}9 behind\r\n.\r\n`, 'latin1')
  const rewritten = rewriter.rewrite(bytes, text.length) ?? bytes.subarray(0, text.length)
  rewriter.fromBackEnd(rewritten, rewritten.length)
  return rewritten.toString('latin1')
}

function cutAt(text: string, sizes: readonly number[]): string[] {
  const chunks: string[] = []
  let at = 0
  for (const size of [...sizes, text.length]) {
    if (at < text.length && size > 0) chunks.push(text.slice(at, at + size))
    at += size
  }
  return chunks
}

/** Lines of a message that look like answers to UIDL, dot-stuffed as a server sends them. */
const bodyLine = fc.constantFrom('1 a', '2 b', '+OK 1 a', '..', '..1 a', '', '-ERR', 'UIDL', '.. ')
const uidl = fc.string({
  unit: fc.constantFrom('a', 'Z', '.', '~', '9'),
  minLength: 1,
  maxLength: 70,
})

interface Turn {
  readonly command: string
  readonly said: string
  readonly heard: string
}

const alike = (command: string, said: string): Turn => ({ command, said, heard: said })

const turn: fc.Arbitrary<Turn> = fc.oneof(
  fc.array(uidl, { maxLength: 5 }).map((uidls) => {
    const list = (of: (one: string) => string): string =>
      `+OK ${uidls.length}\r\n${uidls.map((one, at) => `${at + 1} ${of(one)}\r\n`).join('')}.\r\n`
    return { command: 'UIDL', said: list((one) => one), heard: list(translate) }
  }),
  uidl.map((one) => ({
    command: 'uidl 12',
    said: `+OK 12 ${one}\r\n`,
    heard: `+OK 12 ${translate(one)}\r\n`,
  })),
  fc
    .tuple(
      fc.constantFrom('RETR 1', 'TOP 1 9', 'CAPA', 'LIST'),
      fc.array(bodyLine, { maxLength: 6 }),
    )
    .map(([command, lines]) =>
      alike(command, `+OK 1 a\r\n${lines.map((line) => `${line}\r\n`).join('')}.\r\n`),
    ),
  fc.constantFrom(
    alike('STAT', '+OK 1 a\r\n'),
    alike('LIST 1', '+OK 1 120\r\n'),
    alike('UIDL 9', '-ERR 9 a\r\n'),
    alike('UIDL', '-ERR 1 a\r\n'),
    alike('RETR 9', '-ERR no such message\r\n'),
    alike('XTND SCAN', '-ERR what\r\n'),
    alike('NOOP', '+OK\r\n'),
  ),
)

test('answers to UIDL alone are rewritten, pipelined and however bytes are cut', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 80 })
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 10 }), cuts, cuts, (turns, asked, answered) => {
      const rewriter = new UidlRewriter(translate)
      const commands = turns.map(({ command }) => `${command}\r\n`).join('')
      for (const chunk of cutAt(commands, asked)) rewriter.fromClient(Buffer.from(chunk))
      const said = turns.map((one) => one.said).join('')
      const heard = cutAt(said, answered).map((chunk) => pass(rewriter, chunk))
      assert.equal(heard.join(''), turns.map((one) => one.heard).join(''))
      assert.equal(rewriter.isAtBoundary, true)
    }),
    runs(5000),
  )
})

test('the client is at a boundary where it has whole answers, whatever is held of the next', () => {
  const rewriter = new UidlRewriter(translate)
  rewriter.fromClient(Buffer.from('UIDL 1\r\nUIDL\r\n'))
  assert.deepEqual([pass(rewriter, '+OK 1 ab'), rewriter.isAtBoundary], ['', true])
  assert.deepEqual(
    [pass(rewriter, 'c\r\n+OK\r\n'), rewriter.isAtBoundary],
    ['+OK 1 old-abc\r\n+OK\r\n', false],
  )
  assert.deepEqual([pass(rewriter, '1 x\r\n.'), rewriter.isAtBoundary], ['1 old-x\r\n', false])
  assert.deepEqual([pass(rewriter, '\r\n'), rewriter.isAtBoundary], ['.\r\n', true])
})

test('bytes in which nothing is to be rewritten are not copied', () => {
  const rewriter = new UidlRewriter(translate)
  rewriter.fromClient(Buffer.from('RETR 1\r\nUIDL\r\n'))
  const bytes = Buffer.from('+OK\r\n1 a\r\n')
  assert.equal(rewriter.rewrite(bytes, bytes.length), undefined)
  const end = Buffer.from('.\r\n+OK\r\n')
  assert.equal(rewriter.rewrite(end, end.length), undefined)
  const list = Buffer.from('1 a\r\n.\r\n')
  assert.equal(String(rewriter.rewrite(list, list.length)), '1 old-a\r\n.\r\n')
})

test('what is no line of a list passes as it is, and a line without end is not held for long', () => {
  const rewriter = new UidlRewriter(translate)
  rewriter.fromClient(Buffer.from('UIDL\r\nUIDL 3\r\nNOOP\r\n'))
  const odd = '+OK\r\n1\r\n2  b more \r\nx y\r\n 3 c\r\n4 d\n.. 5\r\n'
  const read = '+OK\r\n1\r\n2  old-b more \r\nx y\r\n 3 c\r\n4 old-d\n.. 5\r\n'
  assert.equal(pass(rewriter, odd), read)
  const long = `6 ${'e'.repeat(5_000)}`
  let heard = ''
  for (const piece of cutAt(
    long,
    Array.from({ length: 50 }, () => 100),
  ))
    heard += pass(rewriter, piece)
  assert.equal(heard, long)
  assert.equal(pass(rewriter, ' 7 f\r\n8 g\r\n.\r\n'), ' 7 f\r\n8 old-g\r\n.\r\n')
  const answer = `+OK 3 ${'h'.repeat(5_000)}`
  assert.equal(
    pass(rewriter, answer) + pass(rewriter, '\r\n+OK 1 a\r\n'),
    `${answer}\r\n+OK 1 a\r\n`,
  )
})

test('once it is not known whose answers come, they pass', () => {
  for (const command of ['XTND XMIT', '', 'x'.repeat(5000), 'NOOP\r\n'.repeat(11_000)]) {
    const rewriter = new UidlRewriter(translate)
    rewriter.fromClient(Buffer.from(`${command}\r\nUIDL\r\n`))
    const said = '+OK\r\n+OK\r\n1 a\r\n.\r\n'
    assert.equal(pass(rewriter, said), said)
  }
  const surprised = new UidlRewriter(translate)
  pass(surprised, '+OK nobody asked\r\n')
  surprised.fromClient(Buffer.from('UIDL\r\n'))
  assert.equal(pass(surprised, '+OK\r\n1 a\r\n.\r\n'), '+OK\r\n1 a\r\n.\r\n')
})

/** Milliseconds for a list of so many, the best of ten. */
function fastest(count: number): number {
  const table = new Map<string, string>()
  let said = '+OK\r\n'
  for (let at = 1; at <= count; at++) {
    const name = at.toString(16).padStart(16, '0')
    table.set(name, `UID${at}-1234567890`)
    said += `${at} ${name}\r\n`
  }
  const bytes = Buffer.from(`${said}.\r\n`)
  const once = (): number => {
    const rewriter = new UidlRewriter((name) => table.get(name) ?? name)
    rewriter.fromClient(Buffer.from('UIDL\r\n'))
    const from = performance.now()
    for (let at = 0; at < bytes.length; at += 16_384) {
      const chunk = bytes.subarray(at, at + 16_384)
      rewriter.rewrite(chunk, chunk.length)
    }
    return performance.now() - from
  }
  return Math.min(...Array.from({ length: 10 }, once))
}

test('a list that is ten times as long takes no more than some ten times as long', () => {
  fastest(2000)
  const ratio = fastest(20_000) / fastest(2000)
  assert.ok(ratio < 50, `${ratio} times`)
})
