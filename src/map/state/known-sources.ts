/**
 * Which source files the map in force has taken in whole, so that a change needs not search them for
 * lines that were written by hand since: a file is known while it is the same to the nanosecond.
 */
import { exactMarkOf } from '../../storage/random-access.ts'
import type { SourceEdit } from './source-edit.ts'

/** A file as a build or a change has left it. */
export interface KnownSource {
  readonly file: string
  readonly mark: string
  /** Lines, one without an end included. */
  readonly lines: number
}

export class KnownSources {
  readonly #byFile: ReadonlyMap<string, KnownSource>

  constructor(sources: readonly KnownSource[]) {
    this.#byFile = new Map(sources.map((source) => [source.file, source]))
  }

  /** Lines of a file; undefined where it may hold what the map does not know. */
  linesOf(file: string): number | undefined {
    const known = this.#byFile.get(file)
    return known !== undefined && known.mark === exactMarkOf(file)?.text ? known.lines : undefined
  }

  /** What is known of edited files before the edits are made, as it will be told after them. */
  prepare(edits: readonly SourceEdit[]): () => KnownSource[] {
    const prepared = edits.flatMap((edit) => {
      const lines = this.linesOf(edit.file)
      return lines === undefined ? [] : [{ edit, lines: lines + addedLines(edit) }]
    })
    return () =>
      prepared.flatMap(({ edit, lines }) => {
        const mark = exactMarkOf(edit.file)
        const isOwn = mark?.sizeBytes === edit.after.sizeBytes
        return isOwn ? [{ file: edit.file, mark: mark.text, lines }] : []
      })
  }
}

function addedLines({ splices, shifts, before }: SourceEdit): number {
  const [first] = splices
  if (first === undefined || first.at !== before.sizeBytes) {
    return shifts.reduce((sum, { delta }) => sum + delta, 0)
  }
  // Where the last line had no end, what is added begins with one.
  const ends = first.insert.toString('latin1').split('\n').length - 1
  return /^\r?\n/.test(first.insert.toString('latin1')) ? ends - 1 : ends
}
