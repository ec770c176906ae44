import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ListedFolder,
  mapFolders,
  type MappingInput,
  substitutes,
} from '../../src/migrate/folder-map.ts'

const slash = { prefix: '', delimiter: '/' }
const dots = { prefix: 'INBOX.', delimiter: '.' }

function folder(name: string, role?: string): ListedFolder {
  return { name, delimiter: '/', isSelectable: true, isSubscribed: false, role }
}

function mapped(changes: {
  readonly source: readonly ListedFolder[]
  readonly target?: readonly ListedFolder[]
  readonly from?: typeof slash
  readonly to?: typeof slash
  readonly known?: readonly (readonly [string, string])[]
  readonly wanted?: readonly (readonly [string, string])[]
}): Record<string, string> {
  const input: MappingInput = {
    source: { folders: changes.source, naming: changes.from ?? slash },
    target: { folders: changes.target ?? [], naming: changes.to ?? dots },
    known: new Map(changes.known),
    wanted: new Map(changes.wanted),
  }
  return Object.fromEntries(mapFolders(input).map(({ source, target }) => [source.name, target]))
}

test('each side has its prefix and delimiter, and INBOX is one name in any case', () => {
  const source = ['inbox', 'a/b', 'x.y'].map((name) => folder(name))
  assert.deepEqual(mapped({ source }), { inbox: 'INBOX', 'a/b': 'INBOX.a.b', 'x.y': 'INBOX.x_y' })
  const back = ['INBOX', 'INBOX.a.b', 'INBOX.x/y'].map((name) => folder(name))
  assert.deepEqual(mapped({ source: back, from: dots, to: slash }), {
    INBOX: 'INBOX',
    'INBOX.a.b': 'a/b',
    'INBOX.x/y': 'x_y',
  })
})

test('a folder with a role goes to that of the target, unless another has its name', () => {
  const target = [folder('INBOX.Gesendet', '\\Sent')]
  assert.deepEqual(mapped({ source: [folder('Sent', '\\Sent')], target }), {
    Sent: 'INBOX.Gesendet',
  })
  const source = [folder('Sent', '\\Sent'), folder('Gesendet')]
  assert.deepEqual(mapped({ source, target }), { Sent: 'INBOX.Sent', Gesendet: 'INBOX.Gesendet' })
})

test('names that would be one are told apart', () => {
  const source = ['a.b', 'a_b', 'a/b'].map((name) => folder(name))
  const { 'a.b': first, a_b: second, 'a/b': third } = mapped({ source })
  assert.deepEqual([first, second, third], ['INBOX.a_b', 'INBOX.a_b_2', 'INBOX.a.b'])
})

test('what was decided before, or is wanted, holds', () => {
  const source = [folder('a.b'), folder('a_b'), folder('c')]
  const known = [['a_b', 'INBOX.a_b']] as const
  assert.deepEqual(mapped({ source, known, wanted: [['c', 'INBOX.C']] }), {
    'a.b': 'INBOX.a_b_2',
    a_b: 'INBOX.a_b',
    c: 'INBOX.C',
  })
})

test('folders that hold no messages are left out', () => {
  assert.deepEqual(mapped({ source: [{ ...folder('a'), isSelectable: false }] }), {})
})

test('no two folders are ever one, and what is decided again is the same', () => {
  const name = fc.string({
    unit: fc.constantFrom('a', '.', '/', '_', 'A'),
    minLength: 1,
    maxLength: 5,
  })
  const role = fc.constantFrom(undefined, undefined, '\\Sent', '\\Trash')
  const folders = fc.uniqueArray(fc.tuple(name, role), { selector: ([text]) => text, maxLength: 8 })
  fc.assert(
    fc.property(folders, folders, (one, other) => {
      const source = one.map(([text, itsRole]) => folder(text, itsRole))
      const target = other.map(([text, itsRole]) => folder(text, itsRole))
      const names = mapped({ source, target })
      assert.equal(new Set(Object.values(names)).size, source.length)
      assert.deepEqual(mapped({ source, target, known: Object.entries(names) }), names)
    }),
  )
})

test('of a name that is refused, first what is often refused is replaced, then all but ASCII', () => {
  assert.deepEqual(substitutes('INBOX.a*ü%', dots), ['INBOX.a_ü_', 'INBOX.a___'])
  assert.deepEqual(substitutes('plain', slash), [])
})

test('of one that is too deep or too long, its end is tried as a single level', () => {
  assert.deepEqual(substitutes('INBOX.a*ü.b', dots), [
    'INBOX.a_ü.b',
    'INBOX.a__.b',
    'INBOX.a_ü_b',
    'INBOX.a___b',
  ])
  const long = `${'x'.repeat(99)}/${'😀'.repeat(40)}`
  assert.equal(substitutes(long, slash)[1], `${'x'.repeat(19)}_${'😀'.repeat(40)}`)
})
