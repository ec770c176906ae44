/** Turns at a back-end. The deadlines' interval is moved by hand. */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { type GateTurn, LoginGate } from '../../src/backend/login-gate.ts'

// For all tests at once: what one leaves behind keeps the interval, and the next one moves it.
mock.timers.enable({ apis: ['setInterval'] })

/** A gate, and what became of who asked it for a turn. */
class Asked {
  readonly gate: LoginGate
  readonly told: string[] = []

  constructor(limit: number) {
    this.gate = new LoginGate(limit)
  }

  take(name: string): GateTurn {
    return this.gate.take({
      hasTurn: () => this.told.push(name),
      hasNone: () => this.told.push(`${name} in vain`),
    })
  }
}

test('who finds no place gets one in the order of coming, as they are left', () => {
  const asked = new Asked(2)
  const inside = [asked.take('a'), asked.take('b')]
  const [third, fourth, fifth] = [asked.take('c'), asked.take('d'), asked.take('e')]
  assert.deepEqual(
    [...inside, third, fourth, fifth].map(({ hasPlace }) => hasPlace),
    [true, true, false, false, false],
  )
  assert.deepEqual(asked.told, [])
  // Who gives up is passed over.
  fourth.leave()
  for (const turn of inside) turn.leave()
  assert.deepEqual(asked.told, ['c', 'e'])
  assert.deepEqual([third.hasPlace, fourth.hasPlace, fifth.hasPlace], [true, false, true])
  // Left twice, it is one place.
  third.leave()
  third.leave()
  assert.deepEqual([asked.take('f').hasPlace, asked.take('g').hasPlace], [true, false])
})

test('nobody waits for a place longer than five seconds', () => {
  const asked = new Asked(1)
  const inside = asked.take('a')
  asked.take('b')
  mock.timers.tick(3_900)
  assert.deepEqual(asked.told, [])
  mock.timers.tick(1_400)
  assert.deepEqual(asked.told, ['b in vain'])
  // Nothing is owed to it.
  inside.leave()
  assert.equal(asked.take('c').hasPlace, true)
  assert.deepEqual(asked.told, ['b in vain'])
})

test('of those who came at once and wait in vain not all are told at once', () => {
  const asked = new Asked(0)
  for (let number = 0; number < 5000; number++) asked.take(`${number}`)
  mock.timers.tick(3_900)
  assert.deepEqual(asked.told, [])
  const byTick: number[] = []
  for (let tick = 0; tick < 14; tick++) {
    const before = asked.told.length
    mock.timers.tick(100)
    byTick.push(asked.told.length - before)
  }
  assert.equal(asked.told.length, 5000)
  assert.ok(Math.max(...byTick) < 1000, byTick.join(' '))
})

test('a limit that changes holds for those who come', () => {
  const asked = new Asked(1)
  const inside = [asked.take('a')]
  asked.gate.limit = 2
  inside.push(asked.take('b'))
  asked.gate.limit = 1
  asked.take('c')
  inside[0]?.leave()
  assert.deepEqual(asked.told, [])
  inside[1]?.leave()
  assert.deepEqual(asked.told, ['c'])
})
