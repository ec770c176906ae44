/** A map as a person names it on a command line. */
import type { Config } from '../config/config.ts'
import { compileAside } from './check-map.ts'
import { openCurrent, openFile, openGeneration, type OpenMap } from './compared-map.ts'

/**
 * `sources` (what they compile to now), `current` (the map in force), a generation's number, or the
 * path of a database file. Throws as the function for each does.
 */
export async function openNamed(name: string, config: Config): Promise<OpenMap> {
  if (name === 'sources') return compileAside(config)
  if (name === 'current') return openCurrent(config)
  return /^\d+$/.test(name) ? openGeneration(config, Number(name)) : openFile(name)
}
