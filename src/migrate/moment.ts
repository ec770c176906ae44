/** Moments as a person writes and reads them, by the clock of this host. */
import { MailmuxError } from '../base/error.ts'

const hourForm = /^(\d{1,2}):(\d{2})$/
const dateForm =
  /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}))?(Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$/

/**
 * `22:30`, the next such time; `2026-12-01T22:30`, here; or the same with a zone. Milliseconds since
 * 1970. An hour that comes twice in a night is the first of them. Throws USAGE, also for one that
 * never comes.
 */
function parseMoment(text: string, nowMs: number): number {
  const [, hour, minute] = hourForm.exec(text) ?? []
  if (hour !== undefined && minute !== undefined) {
    return nextTime(text, Number(hour), Number(minute), new Date(nowMs))
  }
  const [, year, month, day, ...rest] = dateForm.exec(text) ?? []
  if (year === undefined) {
    throw wrong(text, 'write 22:30, 2026-12-01T22:30 or 2026-12-01T22:30+01:00')
  }
  const [hours, minutes, seconds, zone] = rest
  const fields: DateFields = [
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hours),
    Number(minutes),
    Number(seconds ?? 0),
  ]
  const there = new Date(Date.UTC(...fields))
  // What is beyond a month or a day is counted into the next.
  if (there.toISOString().slice(0, 16) !== `${year}-${month}-${day}T${hours}:${minutes}`) {
    throw wrong(text, 'there is no such date or time')
  }
  if (zone !== undefined) return there.getTime() - zoneMs(zone)
  const here = new Date(...fields)
  if (here.getHours() === fields[3] && here.getMinutes() === fields[4]) return here.getTime()
  throw wrong(text, 'that hour is left out, as clocks go forward')
}

type DateFields = [number, number, number, number, number, number]

function nextTime(text: string, hour: number, minute: number, now: Date): number {
  if (hour > 23 || minute > 59) throw wrong(text, 'there is no such time')
  for (const days of [0, 1, 2]) {
    const date = now.getDate() + days
    const at = new Date(now.getFullYear(), now.getMonth(), date, hour, minute)
    if (at > now && at.getHours() === hour && at.getMinutes() === minute) return at.getTime()
  }
  throw wrong(text, 'that hour is left out, as clocks go forward')
}

function zoneMs(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/.exec(zone) ?? []
  const size = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60_000
  return sign === '-' ? -size : size
}

function wrong(text: string, why: string): MailmuxError {
  return new MailmuxError('USAGE', `${text}: ${why}`)
}

/** While no window is open. Milliseconds since 1970. */
export function describeClosed(untilMs: number): string {
  return `outside of its windows until ${describeMoment(untilMs)}`
}

/** `2026-12-01 22:30 +01:00`. */
export function describeMoment(ms: number): string {
  const date = new Date(ms)
  const offset = -date.getTimezoneOffset()
  const local = new Date(ms + offset * 60_000).toISOString()
  const size = Math.abs(offset)
  const zone = [Math.floor(size / 60), size % 60].map((part) => String(part).padStart(2, '0'))
  const seconds = local.slice(16, 19)
  const time = seconds === ':00' ? local.slice(0, 16) : local.slice(0, 19)
  return `${time.replace('T', ' ')} ${offset < 0 ? '-' : '+'}${zone.join(':')}`
}

/** The same without seconds. */
export function describeMinute(ms: number): string {
  return describeMoment(ms - (ms % 60_000))
}

/** `in 3 d 4 h`, `in 5 h 12 min`, `in 20 s`. */
function describeLeft(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  const shown = parts.slice(first === -1 ? 3 : first).slice(0, 2)
  return `in ${shown.map(([count, unit]) => `${count} ${unit}`).join(' ')}`
}

/** As a command line has it. Throws USAGE. */
export function momentOf(text: string | undefined, nowMs: number): number | 'now' | undefined {
  return text === undefined || text === 'now' ? text : parseMoment(text, nowMs)
}

/** For whoever gave a time, which may be another than was meant. */
export function describeWhen(user: string, at: number, nowMs: number): string {
  return `${user}: moves at ${describeMoment(at)}, ${describeLeft(at - nowMs)}`
}
