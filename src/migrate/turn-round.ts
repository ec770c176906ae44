/**
 * A move back: the copy that was made the one way is known the other way, too, so that only what has
 * changed since goes back, and nothing is there twice.
 */
import type { CopyJournal, CopyRoute } from '../map/state/copy-journal.ts'

/** Makes the table of `route` that of the way back. It may be ended anywhere, and done again. */
export function turnRound(journal: CopyJournal, route: CopyRoute): void {
  const { user, source, target } = route
  const there = journal.folders(journal.mailbox({ user, source: target, target: source }))
  const back = journal.mailbox(route)
  for (const folder of journal.folders(back)) journal.drop(folder)
  for (const folder of there) {
    const turned = journal.bind(back, {
      sourceName: folder.targetName,
      targetName: folder.sourceName,
      sourceValidity: folder.targetValidity,
      targetValidity: folder.sourceValidity,
      // What is there without a row may be a copy that was not written down: it is known by its hash.
      floor: 0,
    })
    const messages = [...journal.messages(folder)]
    journal.record(
      turned,
      messages.map(({ sourceUid, targetUid, ...rest }) => ({
        ...rest,
        sourceUid: targetUid,
        targetUid: sourceUid,
      })),
    )
  }
}
