/** A migration as a person follows it: lines for whoever looks on, with rates and what is left. */
import { formatDuration } from '../control/status-text.ts'
import type { Progress } from './migrate-user.ts'
import { describeAmount, describeBytes } from './migration-report.ts'

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
  last: Progress
}

export class MigrationView {
  readonly #users: number
  readonly #startedAt: number
  readonly #followed = new Map<string, Followed>()
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
    if (before === undefined) this.#followed.set(user, { at: now, last: progress })
    else before.last = progress
    if (step === 'look') return `${user}: looking`
    if (step === 'verify') return `${user}: verifying, ${describeAmount(messages, bytes)} copied`
    const done = folders === undefined ? '' : `${folders.done}/${folders.all} folders, `
    return `${user}: ${done}${describeRate(amountsOf(progress), now - (before?.at ?? now))}`
  }

  ended(): void {
    this.#ended++
  }

  /** One line about all. */
  total(now: number): string {
    const amounts = [...this.#followed.values()].map(({ last }) => amountsOf(last))
    const sum = (of: 'there' | 'messages' | 'bytes'): number =>
      amounts.reduce((total, one) => total + one[of], 0)
    const known = amounts.flatMap(({ expected }) => (expected === undefined ? [] : [expected]))
    // Those who have not been looked at are taken for as large as the others.
    const expected =
      known.length === 0
        ? undefined
        : Math.round((known.reduce((total, one) => total + one, 0) / known.length) * this.#users)
    const all = { there: sum('there'), messages: sum('messages'), bytes: sum('bytes'), expected }
    const users = `${this.#ended}/${this.#users} users`
    return `all: ${users}, ${describeRate(all, now - this.#startedAt)}`
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
