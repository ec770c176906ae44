/**
 * A command that changes the map of a folder: FOLDER N is killed at its N-th call of the disk,
 * FOLDER append in the middle of an append, FOLDER add NAME not at all.
 */
import { applyChange } from '../../src/map/state/apply-change.ts'
import { InterruptedDisk } from './interrupted-disk.ts'
import { configOf } from './map-case.ts'
import { planAll, planUser } from './sample-change.ts'

const [, , folder = '', what = '', name = 'zoe'] = process.argv
const config = configOf(folder, `${folder}/map.db`)
if (what === 'add') await applyChange(config, async () => planUser(folder, name))
else if (what === 'append') {
  // The first call opens the source, the second writes.
  const disk = new InterruptedDisk(2, 'killed')
  await applyChange(config, async () => planUser(folder, name), { disk })
} else {
  const disk = new InterruptedDisk(Number(what), 'killed')
  await applyChange(config, async () => planAll(folder), { disk })
}
