/**
 * What a machine wants done and said. Replies go out in the order of their commands, whatever order
 * they are known in (RFC 2920 3.2).
 */
import { limits } from '../../base/limit.ts'
import { formatReply, type Reply } from '../../mail/reply.ts'
import type { FrontEndAction } from './front-end-action.ts'

/** The place of a reply that is not known yet. */
export interface Slot {
  text: string | undefined
}

export class Outbox {
  #slots: Slot[] = []
  #text = ''
  #actions: FrontEndAction[] = []

  /** A reply is awaited. What was said after it waits too. */
  get isWaiting(): boolean {
    return this.#slots.length > 0
  }

  /** So many replies wait that no further command may be taken. */
  get isFull(): boolean {
    return this.#slots.length > limits.recipientsPerMessage
  }

  say(reply: Reply): void {
    this.sayText(formatReply(reply))
  }

  /** Whole lines. */
  sayText(text: string): void {
    if (this.#slots.length === 0) this.#text += text
    else this.#slots.push({ text })
  }

  reserve(): Slot {
    const slot: Slot = { text: undefined }
    this.#slots.push(slot)
    return slot
  }

  fill(slot: Slot, reply: Reply): void {
    slot.text = formatReply(reply)
    let count = 0
    for (; this.#slots[count]?.text !== undefined; count++) this.#text += this.#slots[count]?.text
    if (count > 0) this.#slots.splice(0, count)
  }

  /** As `fill`; whatever was to be said after it is not. */
  fillLast(slot: Slot, reply: Reply): void {
    this.#slots.length = Math.min(this.#slots.length, this.#slots.indexOf(slot) + 1)
    this.fill(slot, reply)
  }

  ask(action: FrontEndAction): void {
    this.#actions.push(action)
  }

  /**
   * All so far, what may be said now first, as one piece. Replies to a group that is still being
   * worked on go out together when its last is known (RFC 2920 3.2).
   */
  take(): FrontEndAction[] {
    const actions = this.#actions
    this.#actions = []
    if (this.#text !== '' && this.#slots.length === 0) {
      actions.unshift({ do: 'send', text: this.#text })
      this.#text = ''
    }
    return actions
  }
}
