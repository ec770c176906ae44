/**
 * `build-map --check`: proves that what is in force, the base and the changes since, is what the
 * sources say. Where lines stand does not count.
 */
import type { Config } from '../config/config.ts'
import {
  type BuildOptions,
  type BuildReport,
  refuseProblems,
  reportOf,
  withSeeds,
} from './build.ts'
import { openCurrent, type OpenMap, wholeOf } from './compared-map.ts'
import { type Compiled, compileMap } from './compile.ts'
import { ScratchFile } from './database/scratch-file.ts'
import { type Change, Difference, type DifferenceSummary } from './difference.ts'

export interface CheckReport extends Omit<BuildReport, 'unchanged'> {
  /** True where the map in force says what the sources say. */
  readonly equal: boolean
  readonly difference: DifferenceSummary
}

/** What the sources say now, compiled into a file that goes with it. */
export interface CompiledAside extends OpenMap {
  readonly compiled: Compiled
}

/** Compiles the sources and publishes nothing. Throws what is wrong with them, as `buildMap` does. */
export function compileAside(
  config: Config,
  options: Pick<BuildOptions, 'strict'> = {},
): Promise<CompiledAside> {
  return withSeeds(async (attempt) => {
    const file = new ScratchFile()
    try {
      const compiled = await compileMap(config, file, { generation: 0, attempt })
      refuseProblems(compiled, options)
      return { ...wholeOf(compiled.database), compiled, [Symbol.dispose]: () => file.end() }
    } catch (error) {
      file.end()
      throw error
    }
  })
}

/**
 * Compares what the sources compile to with the map in force; writes nothing. Every change is
 * passed on. Throws what is wrong with the sources or the map in force as `buildMap` and `openMap` do.
 */
export async function checkMap(
  config: Config,
  options: Pick<BuildOptions, 'strict'> = {},
  take: (change: Change) => Promise<void> | void = () => undefined,
): Promise<CheckReport> {
  using current = openCurrent(config)
  using sources = await compileAside(config, options)
  const difference = new Difference(current, sources, config.naming)
  let equal = true
  for (const change of difference.changes()) {
    equal = false
    await take(change)
  }
  const previous = { sourceDigest: undefined, warnings: [] }
  const { unchanged: _, ...report } = reportOf(config, sources.compiled, previous)
  const { generation } = current
  return { ...report, generation, equal, difference: difference.summary }
}
