/** Aliases that no build would let through, met at run time: an answer, at little cost, never a hang. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expansionLimits } from '../../src/map/expand.ts'
import type { Entry, Lookup } from '../../src/map/place.ts'
import { resolveRoute } from '../../src/map/resolve.ts'
import { type Naming, parseAddress } from '../../src/mail/address.ts'

const naming: Naming = {
  domains: new Set(['example.com']),
  defaultDomain: 'example.com',
  recipientDelimiter: '+',
  foldCase: true,
}

class AliasTable implements Lookup {
  readonly rules = []
  readonly patterns = []
  readonly queryKeys = []
  readonly smarthost = 'out'
  readonly hasBareKeys = false
  readonly hasWideKeys = false
  readonly hasAliases = true
  asked = 0
  readonly #targetsOf: (user: string) => readonly string[] | undefined

  constructor(targetsOf: (user: string) => readonly string[] | undefined) {
    this.#targetsOf = targetsOf
  }

  find(key: string): Entry | undefined {
    this.asked++
    const targets = this.#targetsOf(key.split('@')[0] ?? '')
    return targets === undefined
      ? undefined
      : { targets, delivery: undefined, retrieval: undefined }
  }
}

function resolve(user: string, lookup: Lookup): ReturnType<typeof resolveRoute> {
  const address = parseAddress(user, naming)
  assert.ok(address)
  return resolveRoute('delivery', address, { naming, lookup, trace: undefined })
}

test('a circle of aliases is an error of the expansion', () => {
  const circle: Readonly<Record<string, string[]>> = {
    a: ['b'],
    b: ['c'],
    c: ['x@else.example', 'a'],
  }
  const answer = resolve('a', new AliasTable((user) => circle[user]))
  assert.ok(answer.result === 'error')
  assert.equal(answer.isExpansion, true)
  assert.match(answer.reason, /circle: a@example\.com → b@example\.com → c@example\.com → a@/)
})

test('aliases that double at every step are stopped at their number, not followed to their end', () => {
  // m0 has ten members, each of which has ten, twenty levels deep: 10^20.
  const table = new AliasTable((user) =>
    user.length > 20 ? undefined : Array.from({ length: 10 }, (_, digit) => `${user}${digit}`),
  )
  const answer = resolve('m', table)
  assert.ok(answer.result === 'error' && answer.isExpansion === true)
  assert.ok(table.asked < 10 * expansionLimits.addresses, `${table.asked} lookups`)
})

test('a list of too many members is stopped at their number', () => {
  const many = Array.from({ length: 50_000 }, (_, number) => `u${number}@else.example`)
  const table = new AliasTable((user) => (user === 'all' ? many : undefined))
  const answer = resolve('all', table)
  assert.ok(answer.result === 'error' && answer.isExpansion === true)
  assert.match(answer.reason, /more than 1000 addresses/)
})

test('a chain of aliases is stopped at its depth', () => {
  const table = new AliasTable((user) => [`${user}x`])
  const answer = resolve('a', table)
  assert.ok(answer.result === 'error' && answer.isExpansion === true)
  assert.match(answer.reason, /more than 10 deep/)
})
