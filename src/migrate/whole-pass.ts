/** A pass of a move, which must leave nothing out. */
import { MailmuxError } from '../base/error.ts'
import type { MailboxCopy } from './copy-mailbox.ts'
import type { PassReport } from './pass-report.ts'

const mostPasses = 3

/**
 * A folder that its user deletes or renames while it is copied is a problem of that pass, and none of
 * the next. Throws MOVE_UNEQUAL where a problem stays, and what passes throw.
 */
export async function wholePass(
  copy: MailboxCopy,
  onNotes: (notes: readonly string[]) => void,
): Promise<PassReport> {
  let [copied, bytes] = [0, 0]
  for (let count = 1; ; count++) {
    const report = await copy.pass({ mirror: true })
    onNotes(report.notes)
    copied += report.copied
    bytes += report.bytes
    const [problem] = report.problems
    if (problem === undefined) return { ...report, copied, bytes }
    if (count === mostPasses) throw new MailmuxError('MOVE_UNEQUAL', problem)
  }
}
