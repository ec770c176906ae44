/** A migration as a person follows it: lines for whoever looks on, with rates and what is left. */
import { formatDuration } from '../control/status-text.ts'
import type { Progress } from './migrate-user.ts'
import { describeAmount, describeBytes, describeUser, type UserReport } from './migration-report.ts'

/** What one user, or all, amount to. */
interface Amounts {
  /** Messages that are at the target, whoever has brought them there. */
  readonly there: number
  /** Messages and octets that were brought in this run. */
  readonly messages: number
  readonly bytes: number
  /** Messages of the mailbox; undefined while that is not known. */
  readonly expected: number | undefined
}

interface Followed {
  readonly at: number
  readonly amounts: Amounts
}

export class MigrationView {
  readonly #users: number
  readonly #startedAt: number
  readonly #followed = new Map<string, Followed>()
  /** Of all who are followed, and of how many of these it is known what to expect. */
  #all = { there: 0, messages: 0, bytes: 0, expected: 0 }
  #known = 0
  #ended = 0

  /** `users`: how many there are in all. `now`: monotonic milliseconds. */
  constructor(users: number, now: number) {
    this.#users = users
    this.#startedAt = now
  }

  /** One line about a user. `now`: likewise. */
  line(progress: Progress, now: number): string {
    const { user, step, messages, bytes, folders } = progress
    const before = this.#followed.get(user)
    const { at = now } = before ?? {}
    const amounts = amountsOf(progress)
    this.#followed.set(user, { at, amounts })
    this.#count(before?.amounts, -1)
    this.#count(amounts, 1)
    if (step === 'look') return `${user}: looking`
    if (step === 'verify') return `${user}: verifying, ${describeAmount(messages, bytes)} copied`
    const done = folders === undefined ? '' : `${folders.done}/${folders.all} folders, `
    return `${user}: ${done}${describeRate(amounts, now - at)}`
  }

  /** One line about a user who is through. */
  ended(report: UserReport): string {
    this.#ended++
    return describeUser(report)
  }

  /** One line about all. */
  total(now: number): string {
    const { expected: sum, ...all } = this.#all
    // Those who have not been looked at are taken for as large as the others.
    const expected = this.#known === 0 ? undefined : Math.round((sum / this.#known) * this.#users)
    const users = `${this.#ended}/${this.#users} users`
    return `all: ${users}, ${describeRate({ ...all, expected }, now - this.#startedAt)}`
  }

  #count(amounts: Amounts | undefined, sign: 1 | -1): void {
    if (amounts === undefined) return
    for (const key of ['there', 'messages', 'bytes', 'expected'] as const) {
      this.#all[key] += sign * (amounts[key] ?? 0)
    }
    if (amounts.expected !== undefined) this.#known += sign
  }
}

function amountsOf({ messages, bytes, before, estimate }: Progress): Amounts {
  return { there: before + messages, messages, bytes, expected: estimate?.messages }
}

function describeRate({ there, messages, bytes, expected }: Amounts, ms: number): string {
  const seconds = ms / 1000
  const all = expected === undefined ? '' : `/${Math.max(expected, there)}`
  const parts = [`${there}${all} messages`, describeBytes(bytes)]
  if (seconds >= 1 && messages > 0) {
    parts.push(`${describeBytes(Math.round(bytes / seconds))}/s`)
    const left = (expected ?? 0) - there
    if (left > 0) parts.push(`${formatDuration(Math.max(1000, (left / messages) * ms))} left`)
  }
  return parts.join(', ')
}
