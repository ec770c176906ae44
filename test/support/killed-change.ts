/**
 * A command that changes the map of a folder: FOLDER N is killed at its N-th call of the disk,
 * FOLDER append in the middle of an append, FOLDER all and FOLDER add NAME not at all. Prints the
 * code of a failure.
 */
import { MailmuxError } from '../../src/base/error.ts'
import { applyChange } from '../../src/map/state/apply-change.ts'
import { InterruptedDisk } from './interrupted-disk.ts'
import { configOf } from './map-case.ts'
import { planAll, planUser } from './sample-change.ts'

const [, , folder = '', what = '', name = 'zoe'] = process.argv
const config = configOf(folder, `${folder}/map.db`)
// Of an append, the first call opens the source, the second writes.
const killAt = { all: Infinity, add: Infinity, append: 2 }[what] ?? Number(what)
const disk = new InterruptedDisk(killAt, 'killed')
const isUser = what === 'add' || what === 'append'
try {
  await applyChange(config, async () => (isUser ? planUser(folder, name) : planAll(folder)), {
    disk,
  })
} catch (error) {
  if (!(error instanceof MailmuxError)) throw error
  process.stdout.write(error.code)
  process.exitCode = 1
}
