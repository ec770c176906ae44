/** The files of a source, for editing: those that a key may stand in, and the one to add to. */
import { MailmuxError, messageOf } from '../../base/error.ts'
import { formatPosition, type Position } from '../../base/position.ts'
import type { Config } from '../../config/config.ts'
import { listSourceFiles } from '../../storage/chunked-read.ts'
import { realDisk } from '../../storage/disk.ts'
import { openRandomAccess } from '../../storage/random-access.ts'
import { isInDatabase } from '../sources/source-context.ts'
import type { KnownSources } from '../state/known-sources.ts'
import type { KeyedSource, SourceEnd } from './keyed-edit.ts'

export type EditedSource = 'aliases' | 'user_map' | 'popmap'

/** Enough to see how the last lines are written, and whether the file is still the same. */
const tailBytes = 4096
/** Sources up to this size are searched for a key that the map does not know. */
export const searchedBytes = 32 << 20

function pathOf({ map, file }: Config, source: EditedSource): string {
  const path = { aliases: map.aliases, user_map: map.userMap, popmap: map.popmap }[source]
  if (path !== undefined) return path
  const database = map.databases.find((one) => one.source === source)
  const what =
    database === undefined
      ? `${file}: map.${source} names no file to write it into`
      : `map.${source} comes from ${database.label}: make the change there and run \`mailmux build-map\`, or name a file beside it in the config`
  throw new MailmuxError('CHANGE_REFUSED', what)
}

/** What a database says is changed there. Throws CHANGE_REFUSED. */
export function refuseOwned(name: string, at: Position | undefined): void {
  if (at === undefined || !isInDatabase(at)) return
  const what = `${name} comes from a database (${formatPosition(at)})`
  const hint = 'make the change there, and run `mailmux build-map`'
  throw new MailmuxError('CHANGE_REFUSED', `${what}: ${hint}`)
}

/** Files of keys: expressions of popmap are not edited. Throws CHANGE_REFUSED, MAP_SOURCE_UNREADABLE. */
async function filesOf(config: Config, source: EditedSource): Promise<string[]> {
  const path = pathOf(config, source)
  const files = await reading(path, () => listSourceFiles(path))
  return files.filter((file) => source !== 'popmap' || !file.endsWith('.re'))
}

async function reading<Result>(path: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    const what = `${path}: cannot be read: ${messageOf(error)}`
    throw new MailmuxError('MAP_SOURCE_UNREADABLE', what, { cause: error })
  }
}

function separatorOf(source: EditedSource): 'blank' | 'colon' {
  return source === 'user_map' ? 'blank' : 'colon'
}

/** Every file of a source, whole; none where the config names none. */
export async function readSource(config: Config, source: EditedSource): Promise<KeyedSource[]> {
  const { aliases, userMap, popmap } = config.map
  if ({ aliases, user_map: userMap, popmap }[source] === undefined) return []
  const texts: KeyedSource[] = []
  for (const file of await filesOf(config, source)) {
    const content = await reading(file, () => realDisk.read(file))
    texts.push({ file, content, separator: separatorOf(source) })
  }
  return texts
}

/**
 * True where a source may hold lines that the map does not know, and reading the whole of it costs
 * no more than a person notices.
 */
export async function isToBeSearched(
  config: Config,
  source: EditedSource,
  known: KnownSources,
): Promise<boolean> {
  const files = await filesOf(config, source)
  if (files.every((file) => known.linesOf(file) !== undefined)) return false
  let total = 0
  for (const file of files) {
    total += (await reading(file, async () => endOf(file, source))).sizeBytes
  }
  return total <= searchedBytes
}

/** The end of the file that new lines go into: the last one in name order. */
export async function endOfSource(config: Config, source: EditedSource): Promise<SourceEnd> {
  const file = (await filesOf(config, source)).at(-1)
  if (file !== undefined) return reading(file, async () => endOf(file, source))
  const what = `${pathOf(config, source)}: the directory has no file to write it into`
  throw new MailmuxError('CHANGE_REFUSED', what)
}

function endOf(file: string, source: EditedSource): SourceEnd {
  const open = openRandomAccess(file)
  try {
    const tail = Buffer.alloc(Math.min(tailBytes, open.sizeBytes))
    const { sizeBytes } = open
    const got = open.readInto(tail, sizeBytes - tail.length)
    return { file, sizeBytes, tail: tail.subarray(0, got), separator: separatorOf(source) }
  } finally {
    open.close()
  }
}
