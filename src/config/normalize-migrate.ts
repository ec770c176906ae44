/** What copying mailboxes may take, and when. */
import { parseWindow } from '../base/window.ts'
import type { Config, MigrateLimits } from './config.ts'
import type { RawConfig } from './schema.ts'
import { parseDurationMs, parseSizeBytes } from './unit.ts'

type RawBackend = RawConfig['backends'][string]

export function migrateOf({
  windows = [],
  outside,
}: NonNullable<RawConfig['migrate']>): Config['migrate'] {
  return {
    // Wrong ones are reported by check-migrate.ts.
    windows: windows.flatMap((text) => parseWindow(text) ?? []),
    // What is elsewhere is far away.
    outside: migrateLimitsOf({ compress: true, ...outside }),
  }
}

export function migrateLimitsOf(raw: RawBackend['migrate'] = {}): MigrateLimits {
  const {
    connections,
    bytes_per_second,
    bytes_per_day,
    commands_per_second,
    compress = false,
  } = raw
  return {
    connections,
    bytesPerSecond: optionalSize(bytes_per_second),
    commandsPerSecond: commands_per_second,
    latencyLimitMs: parseDurationMs(raw.latency_limit ?? '1s'),
    bytesPerDay: optionalSize(bytes_per_day),
    compress,
  }
}

function optionalSize(size: string | number | undefined): number | undefined {
  return size === undefined ? undefined : parseSizeBytes(size)
}
