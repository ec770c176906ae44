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
  /** What the first collection leaves. */
  first: number | undefined
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
    this.bytes = this.collections === 1 && this.first !== undefined ? this.first : this.least
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

test('what the first collection has not given back the second one does', () => {
  const heap = new TestHeap(20 * mebibyte)
  const memory = new SpareMemory(heap)
  heap.bytes = 80 * mebibyte
  heap.first = 78 * mebibyte
  memory.look()
  assert.deepEqual([heap.collections, heap.bytes], [1, 78 * mebibyte])
  heap.atMs += 10 * second
  memory.look()
  assert.deepEqual([heap.collections, heap.bytes], [2, 20 * mebibyte])
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
