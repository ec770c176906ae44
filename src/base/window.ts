/**
 * Hours of the week in which something may be done, by the clock of this host: `22:00-06:00`, with
 * days `mon-fri 22:00-06:00` or `sat,sun 00:00-24:00`. The days are those on which it begins. In
 * nights in which clocks are set, hours are those that the clock shows. Pure.
 */

/**
 * Days from 0, Sunday; minutes since midnight. One that ends no later than it begins does so the next
 * day.
 */
export interface Window {
  readonly days: ReadonlySet<number>
  readonly start: number
  readonly end: number
}

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const form = /^(?:([a-z,-]+)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$/
/** What to say about one that is none. */
export const windowForm = 'write 22:00-06:00 or mon-fri 22:00-06:00; for a whole day, 00:00-24:00'
/** Two weeks, so that whatever there is of a week is found in them. */
const daysAhead = 15

/** Undefined where it is none. */
export function parseWindow(text: string): Window | undefined {
  const [, names, ...times] = form.exec(text.trim().toLowerCase()) ?? []
  const days = names === undefined ? new Set(dayNames.keys()) : daysOf(names)
  const [startHour = 99, startMinute = 99, endHour = 99, endMinute = 99] = times.map(Number)
  const start = startHour * 60 + startMinute
  const end = endHour * 60 + endMinute
  const isTime = startMinute < 60 && endMinute < 60 && start < 24 * 60 && end <= 24 * 60
  return days === undefined || !isTime || start === end ? undefined : { days, start, end }
}

function daysOf(names: string): Set<number> | undefined {
  const days = new Set<number>()
  for (const part of names.split(',')) {
    const [first = '', last = first, ...rest] = part.split('-')
    const [from, to] = [dayNames.indexOf(first), dayNames.indexOf(last)]
    if (from === -1 || to === -1 || rest.length > 0) return undefined
    for (let day = from; ; day = (day + 1) % 7) {
      days.add(day)
      if (day === to) break
    }
  }
  return days
}

/** Milliseconds since 1970. */
export interface Opening {
  readonly opensAt: number
  /** Infinity: it does not close. */
  readonly closesAt: number
}

/** The time in which it is open, now or next. `windows`: at least one. */
export function openingAt(windows: readonly Window[], nowMs: number): Opening {
  const spans = Array.from({ length: daysAhead + 1 }, (_, index) => index - 1)
    .flatMap((ahead) => windows.flatMap((window) => spanOf(window, nowMs, ahead)))
    .toSorted((one, other) => one.opensAt - other.opensAt)
  let [opensAt, closesAt] = [Number.NaN, Number.NEGATIVE_INFINITY]
  for (const span of spans) {
    if (span.opensAt <= closesAt) closesAt = Math.max(closesAt, span.closesAt)
    else if (closesAt > nowMs) break
    else ({ opensAt, closesAt } = span)
  }
  const isEndless = closesAt - nowMs > (daysAhead - 1) * 86_400_000
  return { opensAt, closesAt: isEndless ? Number.POSITIVE_INFINITY : closesAt }
}

/** How long the longest of them is that begins within two weeks, those that touch taken as one; Infinity: it never closes. */
export function longestMs(windows: readonly Window[], nowMs: number): number {
  let longest = 0
  for (let at = nowMs; at < nowMs + (daysAhead - 1) * 86_400_000; ) {
    const { opensAt, closesAt } = openingAt(windows, at)
    longest = Math.max(longest, closesAt - opensAt)
    at = closesAt
  }
  return longest
}

function spanOf({ days, start, end }: Window, nowMs: number, ahead: number): Opening[] {
  const now = new Date(nowMs)
  const at = (more: number, minutes: number): Date =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() + ahead + more, 0, minutes)
  const day = at(0, 12 * 60).getDay()
  if (!days.has(day)) return []
  return [{ opensAt: at(0, start).getTime(), closesAt: at(end <= start ? 1 : 0, end).getTime() }]
}
