import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entryOf } from '../../src/daemon/ldap-bind.ts'

test('the name of an entry has the user in it, and no more than the user', () => {
  const form = 'uid={local},ou={domain},mail={user},dc=x'
  const entry = entryOf(form, 'ann@example.com')
  assert.equal(entry, 'uid=ann,ou=example.com,mail=ann@example.com,dc=x')
  for (const [local, written] of [
    ['a,b', String.raw`a\2cb`],
    ['a+ou=x', String.raw`a\2bou\3dx`],
    ['#a"', String.raw`\23a\22`],
    ['ä', String.raw`\c3\a4`],
    ['{domain}', String.raw`\7bdomain\7d`],
    ['$&', String.raw`\24\26`],
  ] as const) {
    assert.equal(entryOf('uid={local},dc=x', `${local}@example.com`), `uid=${written},dc=x`)
  }
})
