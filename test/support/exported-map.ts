/** Maps that are built for a test and exported, and texts that are imported. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Config } from '../../src/config/config.ts'
import { buildMap } from '../../src/map/build.ts'
import { exportMap } from '../../src/map/formats/export-map.ts'
import { mapFormats } from '../../src/map/formats/formats.ts'
import type { MapFormat } from '../../src/map/formats/map-format.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { configOf } from './map-case.ts'
import type { TempDir } from './temp-dir.ts'

export function formatOf(name: string): MapFormat {
  const format = mapFormats.get(name)
  assert.ok(format, name)
  return format
}

/**
 * Builds a map of sources by their names; those of `popmap/…` are a folder. Undefined where they
 * are refused.
 */
export async function builtFrom(
  dir: TempDir,
  sources: Readonly<Record<string, string>>,
): Promise<Config | undefined> {
  for (const [name, text] of Object.entries(sources)) {
    mkdirSync(dirname(dir.join(name)), { recursive: true })
    writeFileSync(dir.join(name), text)
  }
  const config = configOf(dir.path, dir.join('map.db'))
  return buildMap(config).then(
    () => config,
    () => undefined,
  )
}

export function exported(config: Config, format: string): string[] {
  const map = openMapInForce(config)
  try {
    return [...exportMap(formatOf(format), map, config)].filter((one) => typeof one === 'string')
  } finally {
    map.close()
  }
}

/** A source of lines `key separator value`. */
export function linesOf(
  table: Readonly<Record<string, string | readonly string[]>>,
  separator: string,
): string {
  return Object.entries(table)
    .map(([key, one]) => `${key}${separator}${typeof one === 'string' ? one : one.join(', ')}\n`)
    .join('')
}
