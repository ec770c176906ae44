/** The process of a place is started. */
import { messageOf } from '../base/error.ts'
import { type ChildStart, forkInto, type Place } from './worker-place.ts'
import { type WorkerEvents, WorkerProcess } from './worker-process.ts'

/** In words, why it cannot be started, where it cannot. */
export function startChild(
  place: Place,
  start: ChildStart,
  events: WorkerEvents,
): WorkerProcess | string {
  const { role, restarts } = place
  const board = role === 'worker' ? start.boards.take() : undefined
  try {
    return new WorkerProcess(forkInto(place, start), { role, restarts, board }, events)
  } catch (error) {
    start.boards.giveBack(board)
    return `a process cannot be started: ${messageOf(error)}`
  }
}
