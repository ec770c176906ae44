/**
 * A map for a test: sources as files in a folder, the config of the folder or the shared one, the
 * database in a place of its own.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from '../../src/config/config.ts'
import { parseConfig } from '../../src/config/parse.ts'

const sharedConfig = 'test/maps/mailmux.yaml'

/** The config of a folder with sources; sources that are not there are not configured. */
export function configOf(folder: string, database: string): Config {
  const own = join(folder, 'mailmux.yaml')
  const text = readFileSync(existsSync(own) ? own : sharedConfig, 'utf8')
  const parsed = parseConfig(text, own)
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
  const there = (name: string): string | undefined => {
    const path = join(folder, name)
    return existsSync(path) ? path : undefined
  }
  const map = {
    aliases: there('aliases'),
    userMap: there('user_map'),
    popmap: there('popmap'),
    queryKeys: parsed.config.map.queryKeys,
    rules: there('rules'),
    databases: parsed.config.map.databases,
    database,
    maxChanged: parsed.config.map.maxChanged,
    history: parsed.config.map.history,
  }
  // What sources leave unused of a config that all cases share is no finding.
  const places = existsSync(own)
    ? parsed.config.places
    : { backends: new Map(), domains: new Map() }
  return { ...parsed.config, map, places, stateDir: dirname(database) }
}
