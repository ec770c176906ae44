import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTable } from '../../src/cli/table.ts'

test('columns are aligned, numbers to the right, no trailing blanks', () => {
  const lines = formatTable(
    [{ title: 'back-end' }, { title: 'sessions', align: 'right' }, { title: '' }],
    [
      ['fritz', '12', 'x'],
      ['ingrid-long-name', '3', ''],
    ],
  )
  assert.deepEqual(lines, [
    'back-end          sessions',
    'fritz                   12  x',
    'ingrid-long-name         3',
  ])
})

test('colour codes take no room', () => {
  const lines = formatTable(
    [{ title: '' }, { title: '' }],
    [
      ['\u001b[31mred\u001b[39m', '|'],
      ['green', '|'],
    ],
  )
  assert.deepEqual(lines, ['\u001b[31mred\u001b[39m    |', 'green  |'])
})

test('wide characters take two columns, and marks that combine take none', () => {
  assert.deepEqual(
    formatTable(
      [{ title: 'user' }, { title: 'back-end' }],
      [
        ['田中', 'fritz'],
        ['e\u0301va', 'ingrid'],
      ],
    ),
    ['user  back-end', '田中  fritz', 'e\u0301va   ingrid'],
  )
})

test('a table may have more rows than a call may have arguments', () => {
  const rows = Array.from({ length: 200_000 }, (_, index) => [`user${index}`, 'fritz'])
  const lines = formatTable([{ title: 'USER' }, { title: 'BACK-END' }], rows)
  assert.equal(lines.length, 200_001)
  assert.equal(lines.at(-1), 'user199999  fritz')
})
