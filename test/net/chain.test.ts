import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Chain } from '../../src/net/chain.ts'

test('what is in a chain is told in the order in which it came, wherever others were taken out', () => {
  const chain = new Chain<string>()
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((item) => chain.add(item))
  assert.ok(a !== undefined && b !== undefined && c !== undefined && d !== undefined)
  chain.remove(b)
  assert.deepEqual([...chain], ['a', 'c', 'd'])
  chain.remove(a)
  chain.remove(d)
  chain.add('e')
  assert.deepEqual([...chain], ['c', 'e'])
  assert.equal(chain.size, 2)
  chain.remove(c)
  assert.deepEqual([...chain], ['e'])
})

test('a chain that became empty takes what comes next', () => {
  const chain = new Chain<number>()
  chain.remove(chain.add(1))
  assert.deepEqual([[...chain], chain.size], [[], 0])
  chain.add(2)
  assert.deepEqual([...chain], [2])
})

test('what is taken out or added while a chain is told changes nothing of the telling', () => {
  const chain = new Chain<number>()
  const links = [1, 2, 3].map((item) => chain.add(item))
  const told: number[] = []
  for (const item of chain) {
    told.push(item)
    if (item === 1) for (const link of links) chain.remove(link)
    if (item === 1) chain.add(4)
  }
  assert.deepEqual([told, [...chain]], [[1, 2, 3], [4]])
})
