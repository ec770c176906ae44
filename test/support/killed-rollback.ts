/** Goes back to generation 1 of the map of a folder: FOLDER N is killed at its N-th call of the disk. */
import { rollBack } from '../../src/map/rollback.ts'
import { InterruptedDisk } from './interrupted-disk.ts'
import { configOf } from './map-case.ts'

const [, , folder = '', failAt = ''] = process.argv
const config = configOf(folder, `${folder}/map.db`)
await rollBack(config, 1, new InterruptedDisk(Number(failAt), 'killed'))
