/** Durations, sizes and rates as people write them. The schema has checked the form already. */
import type { RateLimit } from './config.ts'

const durationMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeBytes: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  k: 1024,
  KB: 1000,
  KiB: 1024,
  M: 1024 ** 2,
  MB: 1000 ** 2,
  MiB: 1024 ** 2,
  G: 1024 ** 3,
  GB: 1000 ** 3,
  GiB: 1024 ** 3,
}

/** `30s` → 30000. */
export function parseDurationMs(text: string): number {
  const [, digits = '0', unit = 's'] = /^(\d+) ?(\w+)$/.exec(text) ?? []
  return Number(digits) * (durationMs[unit as keyof typeof durationMs] ?? 1000)
}

/** `50MiB` → 52428800; a plain number is bytes. */
export function parseSizeBytes(size: string | number): number {
  if (typeof size === 'number') return size
  const [, digits = '0', unit = ''] = /^(\d+) ?(\w*)$/.exec(size) ?? []
  return Number(digits) * (sizeBytes[unit] ?? 1)
}

const periodMs = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

/** `60/minute` → 60 in 60000 ms. */
export function parseRate(text: string | undefined): RateLimit | undefined {
  const [, count, period] = /^(\d+)\/(\w+)$/.exec(text ?? '') ?? []
  if (count === undefined || period === undefined) return undefined
  return { count: Number(count), periodMs: periodMs[period as keyof typeof periodMs] }
}

/** `[::1]:25`, `127.0.0.1:25`, `mx:25`, `25` (every address) → host and port; undefined where it is neither. */
export function parseListenAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]:|([^\s:[\]]+):)?(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  return port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? '::', port }
}
