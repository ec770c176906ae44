import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Heap, SpareMemory } from '../../src/daemon/spare-memory.ts'

const mebibyte = 1024 * 1024
const second = 1000

/** A heap that is as large as the test says, and `least` after a collection. */
class TestHeap implements Heap {
  atMs = 0
  bytes: number
  busy = 0
  collections = 0
  readonly least: number

  constructor(least: number) {
    this.least = least
    this.bytes = least
  }

  now(): number {
    return this.atMs
  }

  sizeBytes(): number {
    return this.bytes
  }

  busyShare(): number {
    return this.busy
  }

  collect(): void {
    this.collections++
    this.bytes = this.least
  }
}

test('what a burst leaves behind is given back once little goes on', () => {
  const heap = new TestHeap(20 * mebibyte)
  const memory = new SpareMemory(heap)
  heap.bytes = 80 * mebibyte
  heap.busy = 0.4
  memory.look()
  assert.equal(heap.collections, 0, 'while there is work')
  heap.busy = 0.02
  memory.look()
  assert.equal(heap.collections, 1)
  memory.look()
  assert.equal(heap.collections, 1, 'nothing more to gain')
})

test('for a little nothing is stopped', () => {
  const heap = new TestHeap(20 * mebibyte)
  const memory = new SpareMemory(heap)
  heap.bytes = 30 * mebibyte
  memory.look()
  assert.equal(heap.collections, 0)
})

test('sessions that stay are no reason to collect again and again', () => {
  const heap = new TestHeap(60 * mebibyte)
  heap.bytes = 20 * mebibyte
  const memory = new SpareMemory(heap)
  heap.bytes = 90 * mebibyte
  for (let look = 0; look < 100; look++) {
    memory.look()
    heap.atMs += 10 * second
  }
  assert.equal(heap.collections, 1)
})

test('it is done seldom, however much comes and goes', () => {
  const heap = new TestHeap(20 * mebibyte)
  const memory = new SpareMemory(heap)
  for (let look = 0; look < 60; look++) {
    heap.bytes = 90 * mebibyte
    memory.look()
    heap.atMs += 10 * second
  }
  assert.equal(heap.collections, 2, 'in ten minutes')
})
