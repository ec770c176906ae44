/** Which generations there were, and which of them can still be looked at and gone back to. */
import { MailmuxError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { realDisk } from '../storage/disk.ts'
import { readHeader } from './database/open-database.ts'
import { keptPath, listKept } from './kept.ts'
import { readHistory } from './state/read-history.ts'
import type { GenerationKind } from './state/state.ts'

export interface HistoryEntry {
  readonly generation: number
  /** ISO 8601; absent, as all else, where a command was ended before it could write it down. */
  readonly at?: string
  readonly kind?: GenerationKind
  readonly description?: string
  readonly by?: string
  readonly users?: number
  readonly aliases?: number
  /** Whether it can be compared with, and gone back to. */
  readonly kept: boolean
  readonly inForce: boolean
}

type MapPlaces = Pick<Config, 'map' | 'stateDir'>

/** Oldest first. Throws STATE_DAMAGED, STATE_UNUSABLE, MAP_SOURCE_UNREADABLE. */
export async function listHistory(config: MapPlaces): Promise<HistoryEntry[]> {
  const rows = new Map(readHistory(config.stateDir).map((row) => [row.generation, row]))
  const bases = await listBases(config)
  const generations = [...new Set([...rows.keys(), ...bases.keys()])].toSorted((a, b) => a - b)
  const last = generations.at(-1)
  let base: number | undefined
  return generations.map((generation) => {
    const row = rows.get(generation)
    if (row?.kind !== 'change') base = generation
    const { at, kind, description, by, users, aliases } = row ?? {}
    return {
      generation,
      ...(at === undefined ? {} : { at: at.toISOString() }),
      ...(kind === undefined ? {} : { kind }),
      ...(description === undefined ? {} : { description }),
      ...(by === undefined ? {} : { by }),
      ...(users === undefined ? {} : { users }),
      ...(aliases === undefined ? {} : { aliases }),
      kept: base !== undefined && bases.has(base),
      inForce: generation === last,
    }
  })
}

/** The base that a generation is made of, with its file. Throws MAP_GENERATION_UNKNOWN. */
export async function baseOf(config: MapPlaces, generation: number): Promise<string> {
  const entries = await listHistory(config)
  const found = entries.find((one) => one.generation === generation)
  const base = entries.findLast((one) => one.generation <= generation && one.kind !== 'change')
  const path = base && (await listBases(config)).get(base.generation)
  if (found?.kept !== true || path === undefined) {
    const what = `generation ${generation} ${found === undefined ? 'is not known' : 'is not kept'}`
    throw new MailmuxError('MAP_GENERATION_UNKNOWN', what)
  }
  return path
}

/** Bases by generation: those that are kept, and the one in force. */
async function listBases({ map }: MapPlaces): Promise<Map<number, string>> {
  const kept = await listKept(realDisk, map)
  const bases = new Map(kept.map((generation) => [generation, keptPath(map, generation)]))
  try {
    bases.set(readHeader(map.database).generation, map.database)
  } catch (error) {
    // There is none in force, or it is damaged: older ones may be there all the same.
    if (!(error instanceof MailmuxError) || error.code === 'MAP_DATABASE_UNREADABLE') throw error
  }
  return bases
}
