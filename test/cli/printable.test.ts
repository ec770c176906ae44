import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printable } from '../../src/cli/printable.ts'

for (const [what, text, shown] of [
  ['a cursor movement', 'a\u001b[2Jb', 'a\\u001b[2Jb'],
  ['the title of a window', '\u001b]0;x\u0007', '\\u001b]0;x\\u0007'],
  ['a control sequence in one character', '\u009b2J', '\\u009b2J'],
  ['a carriage return', 'fritz\ringrid', 'fritz\\u000dingrid'],
  ['text that runs backwards', 'x\u202ey', 'x\\u202ey'],
  ['a line that ends in Unicode only', 'a\u2028b', 'a\\u2028b'],
] as const) {
  test(`${what} is shown and not obeyed`, () => {
    assert.equal(printable(text), shown)
  })
}

test('words of any language, line ends, tabs and our colours stay', () => {
  const text = '\u001b[31mrot\u001b[39m\tJosé 用户\n'
  assert.equal(printable(text), text)
})
