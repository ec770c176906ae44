import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { RetiredMaps } from '../../src/daemon/retired-maps.ts'

class TestMap {
  closed = 0
  close(): void {
    this.closed++
  }
}

test('a map that nobody uses is closed at once', () => {
  const maps = new RetiredMaps()
  const map = new TestMap()
  maps.retire(map, [])
  assert.equal(map.closed, 1)
})

test('a map is closed when the last session of its time has ended', () => {
  const maps = new RetiredMaps()
  const map = new TestMap()
  const [first, second, later] = [{}, {}, {}]
  maps.retire(map, [first, second])
  maps.leave(first)
  maps.leave(later)
  assert.equal(map.closed, 0)
  maps.leave(second)
  maps.leave(second)
  assert.equal(map.closed, 1)
})

test('a session that stays does not keep its map for ever', () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const maps = new RetiredMaps()
    const map = new TestMap()
    const session = {}
    maps.retire(map, [session])
    mock.timers.tick(599_999)
    assert.equal(map.closed, 0)
    mock.timers.tick(1)
    assert.equal(map.closed, 1)
    maps.leave(session)
    assert.equal(map.closed, 1)
  } finally {
    mock.timers.reset()
  }
})

test('however often the map changes, only the last few stay open', () => {
  const maps = new RetiredMaps()
  const session = {}
  const all = Array.from({ length: 20 }, () => new TestMap())
  for (const map of all) maps.retire(map, [session])
  assert.deepEqual(
    all.map(({ closed }) => closed),
    [...Array.from({ length: 16 }, () => 1), 0, 0, 0, 0],
  )
  maps.leave(session)
  assert.ok(all.every(({ closed }) => closed === 1))
})
