/** Maps to be compared, shown or taken back: the one in force, an older generation, another file. */
import type { MailmuxError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import type { Database } from './database/database.ts'
import { openDatabase } from './database/open-database.ts'
import type { ComparedMap } from './difference.ts'
import { baseOf } from './history.ts'
import { listRecords, type MapRecord } from './map-record.ts'
import { Overlay } from './overlay.ts'
import { OverrideReader } from './state/override-reader.ts'
import { statePath } from './state/state.ts'

export interface OpenMap extends ComparedMap, Disposable {
  /** What it says of each key. Throws MAP_DATABASE_DAMAGED. */
  records(): Generator<MapRecord, void, undefined>
}

type MapPlaces = Pick<Config, 'map' | 'stateDir'>

/** A map without changes since its build. */
export function wholeOf(database: Database): Omit<OpenMap, typeof Symbol.dispose> {
  return {
    generation: database.header.generation,
    database,
    lookup: database,
    overridden: [],
    records: () => listRecords(database, undefined),
  }
}

/** A database file alone. Throws MAP_DATABASE_MISSING, MAP_DATABASE_DAMAGED. */
export function openFile(path: string): OpenMap {
  const opened = openDatabase(path)
  return { ...wholeOf(opened.database), [Symbol.dispose]: () => opened.close() }
}

/**
 * The map in force with all changes since its build, or those up to a generation. Throws as
 * `openFile` does, and STATE_DAMAGED or STATE_UNUSABLE where changes cannot be read.
 */
export function openWithChanges(path: string, stateDir: string, upTo?: number): OpenMap {
  const opened = openDatabase(path)
  const { database } = opened
  const base = database.header.generation
  let failure: MailmuxError | undefined
  const overrides = new OverrideReader({
    path: statePath(stateDir),
    base,
    ...(upTo === undefined ? {} : { upTo }),
    report: (problem) => {
      failure = problem
    },
  })
  const close = (): void => {
    overrides.close()
    opened.close()
  }
  overrides.refresh()
  if (failure !== undefined) {
    close()
    throw failure
  }
  return {
    generation: overrides.generation,
    database,
    lookup: new Overlay(database, overrides),
    overridden: [...overrides.byKey.keys()],
    records: () => listRecords(database, overrides),
    [Symbol.dispose]: close,
  }
}

/** The map in force. Throws as `openWithChanges` does. */
export function openCurrent({ map, stateDir }: MapPlaces): OpenMap {
  return openWithChanges(map.database, stateDir)
}

/** A map as it was in a generation. Throws MAP_GENERATION_UNKNOWN, and as `openWithChanges` does. */
export async function openGeneration(config: MapPlaces, generation: number): Promise<OpenMap> {
  return openWithChanges(await baseOf(config, generation), config.stateDir, generation)
}
