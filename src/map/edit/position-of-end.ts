/** The place of the line that is added at the end of a source. */
import type { Position } from '../../base/position.ts'
import { countLineEnds } from '../../storage/chunked-read.ts'
import type { KnownSources } from '../state/known-sources.ts'
import { needsLineEnd } from './source-lines.ts'
import type { SourceEnd } from './keyed-edit.ts'
import { searchedBytes } from './source-files.ts'

/**
 * Lines of the file are counted where they are not known; undefined in a file so big that counting
 * its lines would be what the command waits for.
 */
export async function positionOfEnd(
  end: SourceEnd,
  known: KnownSources,
): Promise<Position | undefined> {
  const { file, tail, sizeBytes } = end
  const lines = known.linesOf(file)
  if (lines !== undefined) return { file, line: lines + 1, column: 1 }
  if (sizeBytes > searchedBytes) return undefined
  const ends = await countLineEnds(file)
  return { file, line: ends + (needsLineEnd(tail) ? 2 : 1), column: 1 }
}
