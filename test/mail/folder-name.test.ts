import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeFolderName, encodeFolderName } from '../../src/mail/folder-name.ts'

/** RFC 3501 section 5.1.3, and names of mail programs. */
const names: readonly [string, string][] = [
  ['INBOX', 'INBOX'],
  ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
  ['Entwürfe', 'Entw&APw-rfe'],
  ['a & b', 'a &- b'],
  ['&', '&-'],
  ['Öl & Gas', '&ANY-l &- Gas'],
  ['\u{1f4e7}', '&2D3c5w-'],
  ['tab\there', 'tab&AAk-here'],
]

for (const [name, wire] of names) {
  test(`${JSON.stringify(name)} is ${wire} on the wire, and back`, () => {
    assert.equal(encodeFolderName(name), wire)
    assert.equal(decodeFolderName(wire), name)
  })
}

for (const wire of ['&', 'a&b', '&APw', '&AP-', '&AGE-', 'ü', '&APw-&APw-', '&AP/8-']) {
  test(`${wire} is no name`, () => assert.equal(decodeFolderName(wire), undefined))
}

test('every name is ASCII on the wire, and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (name) => {
      const wire = encodeFolderName(name)
      assert.match(wire, /^[ -~]*$/)
      assert.equal(decodeFolderName(wire), name)
    }),
  )
})
