/**
 * The index of a database: slots ordered by hash. Whoever asks often has it in memory; whoever asks
 * once reads the few blocks that the answer is in, each with its checksum.
 */
import { homeSlot, slotWords } from './format.ts'

export interface SlotIndex {
  readonly slotCount: number
  /** The slot of a hash, -1 where there is none. */
  find(high: number, low: number): number
  /** The value of a slot that `find` has just given. */
  valueOf(slot: number): number
}

export class ResidentIndex implements SlotIndex {
  readonly #slots: Uint32Array
  readonly #capacity: number

  constructor(slots: Uint32Array, capacity: number) {
    this.#slots = slots
    this.#capacity = capacity
  }

  get slotCount(): number {
    return this.#slots.length / slotWords
  }

  /** Ordered by hash, so a probe ends at a greater one. */
  find(high: number, low: number): number {
    const slots = this.#slots
    for (let slot = homeSlot(high, this.#capacity); ; slot++) {
      const at = slot * slotWords
      const slotHigh = slots[at] as number
      if (slotHigh === high && slots[at + 1] === low && slots[at + 2] !== 0) return slot
      if (slotHigh > high || slots[at + 2] === 0) return -1
      if (slotHigh === high && (slots[at + 1] as number) > low) return -1
    }
  }

  valueOf(slot: number): number {
    return this.#slots[slot * slotWords + 2] as number
  }
}

const windowSlots = 128
const slotBytes = slotWords * 4

/** Bytes of the index from `at` on, checked; throws where they are damaged. */
export type ReadIndex = (at: number, count: number) => Buffer

export class DiskIndex implements SlotIndex {
  readonly slotCount: number
  readonly #read: ReadIndex
  readonly #capacity: number
  #found = 0

  constructor(read: ReadIndex, lengthBytes: number, capacity: number) {
    this.#read = read
    this.slotCount = lengthBytes / slotBytes
    this.#capacity = capacity
  }

  find(high: number, low: number): number {
    let slot = homeSlot(high, this.#capacity)
    while (slot < this.slotCount) {
      const count = Math.min(windowSlots, this.slotCount - slot)
      const bytes = this.#read(slot * slotBytes, count * slotBytes)
      for (let at = 0; at < bytes.length; at += slotBytes, slot++) {
        const value = bytes.readUInt32LE(at + 8)
        const order = bytes.readUInt32LE(at) - high || bytes.readUInt32LE(at + 4) - low
        if (value === 0 || order > 0) return -1
        if (order < 0) continue
        this.#found = value
        return slot
      }
    }
    return -1
  }

  valueOf(): number {
    return this.#found
  }
}
