/** A migration as a person follows it: lines for whoever looks on, with rates and what is left. */
import type { Progress } from './migrate-user.ts'
import { describeAmount, describeBytes } from './migration-report.ts'

interface Begun {
  readonly at: number
  readonly messages: number
}

export class MigrationView {
  readonly #begun = new Map<string, Begun>()

  /** One line about a user. `now`: monotonic milliseconds. */
  line({ user, step, messages, bytes, estimate }: Progress, now: number): string {
    if (step === 'look') return `${user}: looking`
    if (step === 'verify') return `${user}: verifying, ${describeAmount(messages, bytes)} copied`
    const begun = this.#begun.get(user) ?? { at: now, messages }
    this.#begun.set(user, begun)
    const seconds = (now - begun.at) / 1000
    const all = estimate === undefined ? '' : ` of ${estimate.messages}`
    const rate = seconds < 1 ? 0 : (messages - begun.messages) / seconds
    const parts = [`${user}: ${messages}${all} messages, ${describeBytes(bytes)}`]
    if (rate > 0) {
      parts.push(`${Math.round(rate)}/s`)
      const left = (estimate?.messages ?? 0) - messages
      if (left > 0) parts.push(`${Math.ceil(left / rate)} s left`)
    }
    return parts.join(', ')
  }
}
