/** Keys that stand twice in one source. */
import { formatPosition, type Position } from '../base/position.ts'
import type { Checked } from './alias-check.ts'
import type { Database } from './database/database.ts'
import type { Duplicate } from './database/sort-bucket.ts'
import type { StoredRecord } from './database/record.ts'
import { nameOf } from './key.ts'
import { isInDatabase } from './sources/source-context.ts'
import { describeValue, type Value } from './value.ts'

const lineStart = { line: 1, column: 1 }

/** The same value twice is a warning, another one an error. */
export function reportDuplicates(
  duplicates: readonly Duplicate[],
  { database, problems }: Checked,
): void {
  const hasDatabases = database.meta.files.some((file) => isInDatabase({ file, ...lineStart }))
  for (const { first, second, same } of duplicates.toSorted(
    (one, other) => one.second - other.second,
  )) {
    if (same !== undefined && !hasDatabases && problems.countOnly(same ? 'warning' : 'error'))
      continue
    const before = database.record(first)
    const again = database.record(second)
    const isSame = same ?? (before.text === again.text && before.valueNumber === again.valueNumber)
    const at = placeOf(again, database)
    const key = nameOf(again.key)
    const where = formatPosition(placeOf(before, database))
    if (isSame && isInDatabase(at) !== isInDatabase(placeOf(before, database))) {
      // A command that changes the text would not know of the other.
      const what = `${key} is in text and in a database: ${where}`
      problems.error('duplicate-key', at, what, 'keep one of the two')
    } else if (isSame) {
      problems.warn(
        'duplicate-key',
        at,
        `${key} is there already: ${where}`,
        'remove one of the two',
      )
    } else {
      const values = [again, before].map((record) =>
        describeValue(database.valueOfRecord(record) as Value),
      )
      const what = `${key} is ${values[0]} here, but ${values[1]} before: ${where}`
      problems.error('duplicate-key', at, what, 'keep one of the two lines')
    }
  }
}

function placeOf({ source, line }: StoredRecord, { meta }: Database): Position {
  return { file: meta.files[source] ?? '', line, column: 1 }
}
