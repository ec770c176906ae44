/** The place of the line that is added at the end of a source. */
import type { Position } from '../../base/position.ts'
import { countLineEnds } from '../../storage/chunked-read.ts'
import { needsLineEnd } from './source-lines.ts'
import type { SourceEnd } from './keyed-edit.ts'
import { searchedBytes } from './source-files.ts'

/** Undefined in a file so big that counting its lines would be what the command waits for. */
export async function positionOfEnd(end: SourceEnd): Promise<Position | undefined> {
  const { file, tail, sizeBytes } = end
  if (sizeBytes > searchedBytes) return undefined
  const ends = await countLineEnds(file)
  return { file, line: ends + (needsLineEnd(tail) ? 2 : 1), column: 1 }
}
