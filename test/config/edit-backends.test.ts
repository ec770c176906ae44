import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  insertBackend,
  removeBackend,
  setBackendState,
  type TextEdit,
} from '../../src/config/edit-backends.ts'

const head = 'hostname: mx1.example.com # us\ndomains: [example.com]\n'

/** Ways to write back-ends. */
const forms = {
  block: `${head}backends:\n  # the first\n  fritz:\n    host: 10.0.0.11 # rack 1\n    smtp: 25\n    imap: 143\n\n  ingrid: {host: 10.0.0.12, smtp: 25, imap: 143} # rack 2\n\n# where we listen\nlisten: {imap: ["[::]:143"]}\n`,
  flow: `${head}backends: {fritz: {host: 10.0.0.11, smtp: 25}, ingrid: {host: h, smtp: 25}} # all\n`,
  last: `${head}backends:\n    fritz: {host: 10.0.0.11, smtp: 25}\n    ingrid:\n        host: h\n        smtp: 25`,
  crlf: `${head}backends:\n  fritz: {host: 10.0.0.11, smtp: 25}\n  ingrid: {host: h, smtp: 25}\n`.replaceAll(
    '\n',
    '\r\n',
  ),
}

function apply(text: string, { at, remove, insert }: TextEdit): string {
  return text.slice(0, at) + insert + text.slice(at + remove)
}

function without(text: string, name: string): string {
  return apply(text, removeBackend(text, 'm.yaml', name))
}

test('a back-end is added after the others, in the form that they have', () => {
  const settings = { host: '10.0.0.13', lmtp: 24, tls: 'none' }
  const added = (text: string): string =>
    apply(text, insertBackend(text, 'm.yaml', ['heinrich', settings]))
  assert.match(
    added(forms.block),
    /imap: 143\} # rack 2\n {2}heinrich: \{host: 10\.0\.0\.13, lmtp: 24, tls: none\}\n\n# where/,
  )
  assert.match(added(forms.flow), /smtp: 25\}, heinrich: \{host: 10\.0\.0\.13, .*none\}\} # all\n$/)
  assert.match(added(forms.last), /\n {8}smtp: 25\n {4}heinrich: \{.*\}\n$/)
  assert.match(added(forms.crlf), /25\}\r\n {2}heinrich: \{.*\}\r\n$/)
})

test('what was added is taken out again, and not a byte is another', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(forms)),
      fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,8}$/),
      fc.record({
        host: fc.constantFrom('10.0.0.9', 'mail.example.com', '2001:db8::7'),
        smtp: fc.integer({ min: 1, max: 65_535 }),
      }),
      (text, name, drawn) => {
        const settings = { ...drawn }
        fc.pre(!['fritz', 'ingrid'].includes(name.toLowerCase()))
        const added = apply(text, insertBackend(text, 'm.yaml', [name, settings]))
        const end = added.endsWith('\n') && !text.endsWith('\n') ? '\n' : ''
        assert.equal(apply(added, removeBackend(added, 'm.yaml', name)), text + end)
      },
    ),
  )
})

test('a back-end is taken out with its lines, comments of others stay', () => {
  assert.equal(
    without(forms.block, 'ingrid'),
    forms.block.replace('  ingrid: {host: 10.0.0.12, smtp: 25, imap: 143} # rack 2\n', ''),
  )
  assert.match(without(forms.block, 'fritz'), /backends:\n {2}# the first\n\n? {2}ingrid: /)
  assert.match(without(forms.flow, 'fritz'), /backends: \{ingrid: \{host: h, smtp: 25\}\} # all/)
  assert.match(without(forms.last, 'ingrid'), /smtp: 25\}\n$/)
})

test('what would be no good config is refused', () => {
  const refused = { code: 'CHANGE_REFUSED' }
  assert.throws(() => insertBackend(forms.flow, 'm.yaml', ['fritz', { host: 'h' }]), refused)
  assert.throws(
    () => insertBackend(forms.flow, 'm.yaml', ['a b', { host: 'h', smtp: 25 }]),
    refused,
  )
  assert.throws(() => insertBackend(forms.flow, 'm.yaml', ['x', { host: '', smtp: 25 }]), refused)
  assert.throws(() => insertBackend(forms.flow, 'm.yaml', ['x', { host: 'h', smtp: 99_999 }]), {
    ...refused,
    message: /^m\.yaml:3:\d+: error: backends\.x\.smtp/,
  })
  assert.throws(() => removeBackend(forms.flow, 'm.yaml', 'x'), { code: 'BACKEND_UNKNOWN' })
  const aliased = `${head}backends:\n  fritz: &one {host: h, smtp: 25}\n  ingrid: *one\n`
  assert.throws(() => removeBackend(aliased, 'm.yaml', 'fritz'), refused)
  const only = `${head}backends: {fritz: {host: h, smtp: 25}}\n`
  assert.throws(() => removeBackend(only, 'm.yaml', 'fritz'), refused)
})

type State = 'online' | 'draining'

function withState(text: string, name: string, state: State): string | undefined {
  const edit = setBackendState(text, 'm.yaml', [name, state])
  return edit && apply(text, edit)
}

test('the state of a back-end is written after its other settings, and taken out again', () => {
  assert.equal(
    withState(forms.block, 'fritz', 'draining'),
    forms.block.replace('    imap: 143\n', '    imap: 143\n    state: draining\n'),
  )
  assert.match(
    withState(forms.block, 'ingrid', 'draining') ?? '',
    /imap: 143, state: draining\} # rack 2\n/,
  )
  assert.match(withState(forms.last, 'ingrid', 'draining') ?? '', /25\n {8}state: draining\n$/)
  for (const [name, text] of Object.entries(forms)) {
    for (const backend of ['fritz', 'ingrid']) {
      const drained = withState(text, backend, 'draining') ?? ''
      assert.equal(withState(drained, backend, 'draining'), undefined, name)
      const end = drained.endsWith('\n') && !text.endsWith('\n') ? '\n' : ''
      assert.equal(withState(drained, backend, 'online'), text + end, name)
      assert.equal(withState(text, backend, 'online'), undefined, name)
    }
  }
})

test('a state that is written already is replaced where it stands', () => {
  const text = `${head}backends: {fritz: {state: online, host: h, smtp: 25}}\n`
  assert.equal(withState(text, 'fritz', 'online'), undefined)
  const drained = withState(text, 'fritz', 'draining') ?? ''
  assert.equal(drained, text.replace('online', 'draining'))
  assert.match(withState(drained, 'fritz', 'online') ?? '', /fritz: \{host: h, smtp: 25\}/)
})

test('settings that stand elsewhere are not edited', () => {
  const aliased = `${head}backends:\n  fritz: &one {host: h, smtp: 25}\n  ingrid: *one\n`
  for (const name of ['fritz', 'ingrid']) {
    assert.throws(() => withState(aliased, name, 'draining'), { code: 'CHANGE_REFUSED' })
  }
  assert.throws(() => withState(aliased, 'x', 'draining'), { code: 'BACKEND_UNKNOWN' })
})
