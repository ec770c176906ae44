/** A site whose map comes from databases, for tests of builds. */
import { writeFileSync } from 'node:fs'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { buildMap } from '../../src/map/build.ts'
import { openCurrent } from '../../src/map/compared-map.ts'
import { MapProblems } from '../../src/map/problems.ts'
import { describeValue } from '../../src/map/value.ts'
import type { TempDir } from './temp-dir.ts'

/** `map` are the lines below `map:`; all files are put beside the config. */
export async function siteOf(
  dir: TempDir,
  map: string,
  files: Readonly<Record<string, string>> = {},
): Promise<Config> {
  for (const [name, text] of Object.entries(files)) writeFileSync(dir.join(name), text)
  const config = dir.join('mailmux.yaml')
  writeFileSync(
    config,
    `hostname: mx1.example.com
domains: [example.com, example.net]
backends:
  fritz: {host: fritz.example.com, lmtp: 24, imap: 143}
  ingrid: {host: ingrid.example.com, lmtp: 24, imap: 143}
state_dir: state
map:
${map}`,
  )
  return (await loadConfig(config)).config
}

/** What the map in force says, in the words of its sources, in the order of keys. */
export function saysOf(config: Config): string[] {
  using map = openCurrent(config)
  return [...map.records()]
    .map((record) => {
      const value = 'targets' in record ? record.targets.join(' ') : describeValue(record.value)
      return `${record.source} ${record.key} ${value}`
    })
    .toSorted()
}

/** The code of a build that fails, and what is found. */
export async function failureOf(
  config: Config,
): Promise<{ readonly code: string; readonly found: readonly string[] }> {
  try {
    await buildMap(config)
  } catch (error) {
    if (!(error instanceof MapProblems)) throw error
    const found = error.problems
      .filter(({ severity }) => severity === 'error')
      .map(({ at, message }) => `${at.line}: ${message}`)
    return { code: error.code, found }
  }
  throw new Error('the map was built')
}
