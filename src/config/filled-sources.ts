/** The sources of the map that may be text, databases, or both at once. */
import type { Problem } from '../base/problem.ts'
import type { FilledSource } from './database-config.ts'
import type { RawDatabase } from './database-schema.ts'
import { type ReadDatabase, readDatabase } from './databases.ts'
import { type Locate, type Path, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'

type RawSource = NonNullable<RawConfig['map']>['user_map']

const filledSources: readonly FilledSource[] = ['aliases', 'user_map', 'popmap']

/** The text files and directories that a source is made of. */
export function textsOf(raw: RawSource): string[] {
  return [raw ?? []].flat().filter((part) => typeof part === 'string')
}

interface NamedDatabase {
  readonly path: Path
  readonly raw: RawDatabase
  readonly read: ReadDatabase
}

/** Every database of the map, in the order of the sources. */
export function databasesOf(
  { map, hostname }: RawConfig,
  resolvePath: (path: string) => string,
): NamedDatabase[] {
  return filledSources.flatMap((source) => {
    const raw = map?.[source]
    const parts = [raw ?? []].flat()
    return parts.flatMap((part, index): NamedDatabase[] => {
      if (typeof part === 'string') return []
      const path = Array.isArray(raw) ? ['map', source, index] : ['map', source]
      return [{ path, raw: part, read: readDatabase(part, { source, hostname, resolvePath }) }]
    })
  })
}

export function checkFilledSources(raw: RawConfig, locate: Locate): Problem[] {
  return [
    ...filledSources.flatMap((source) => checkTexts(raw, source, locate)),
    ...databasesOf(raw, (path) => path).flatMap(({ path, raw: named, read }) =>
      'database' in read
        ? []
        : read.faults.map(({ key, code, message, hint }) => {
            const own = key === undefined ? path : [...path, key]
            const at = locate(own, key === undefined || named[key] !== undefined)
            return problem(code, `${own.join('.')}: ${message}`, at, hint)
          }),
    ),
  ]
}

/** A change of one user must have one place to go to. */
function checkTexts({ map }: RawConfig, source: FilledSource, locate: Locate): Problem[] {
  const raw = map?.[source]
  const [, second] = textsOf(raw)
  if (second === undefined || !Array.isArray(raw)) return []
  const path = ['map', source, raw.lastIndexOf(second)]
  const message = `${path.join('.')}: there is text already`
  const hint = 'put the files into one directory, and name that'
  return [problem('two-texts', message, locate(path, true), hint)]
}
