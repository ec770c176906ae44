/** What the counts were at the looks of the last minute: how much has come since. */
import type { Counts } from './counters.ts'

const minuteMs = 60_000

interface Look {
  readonly atMs: number
  readonly counts: Counts
}

export class CountHistory {
  #looks: Look[]

  /** `nowMs` is monotonic; before it nothing was counted. */
  constructor(nowMs: number) {
    this.#looks = [{ atMs: nowMs, counts: {} }]
  }

  add(nowMs: number, counts: Counts): void {
    this.#looks.push({ atMs: nowMs, counts })
    // One that is a minute old is kept.
    const old = this.#looks.findLastIndex(({ atMs }) => nowMs - atMs >= minuteMs)
    if (old > 0) this.#looks = this.#looks.slice(old)
  }

  /** What `counts` has more than a minute ago, or than at the start where that is later. */
  lastMinute(nowMs: number, counts: Counts): Counts {
    const base =
      this.#looks.findLast(({ atMs }) => nowMs - atMs >= minuteMs) ?? this.#looks[0] ?? undefined
    if (base === undefined) return counts
    const spanMs = Math.max(minuteMs, nowMs - base.atMs)
    return Object.fromEntries(
      Object.entries(counts).flatMap(([key, count]) => {
        const more = count - (base.counts[key] ?? 0)
        return more > 0 ? [[key, Math.round((more * minuteMs) / spanMs)]] : []
      }),
    )
  }
}
