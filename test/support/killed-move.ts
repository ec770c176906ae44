/**
 * A move that is killed as it writes a step down: CONFIG USER TO STEP before|after. The step `flipped`
 * is written with the flip itself: before, nothing of it is durable; after, the sources are not edited.
 * For `waiting` it is given a time, for `giving_up` and `stopped` it is interrupted in its freeze; for
 * `purging` and `purged` it is done, and what it has left is purged.
 */
import { namedBackend } from '../../src/config/named-backend.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Move, MoveJournal } from '../../src/map/state/move-journal.ts'
import { State } from '../../src/map/state/state.ts'
import { purgeMoves } from '../../src/migrate/list-moves.ts'
import { moveUser } from '../../src/migrate/move-user.ts'

const [, , file = '', user = '', to = '', step = '', when = ''] = process.argv

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal comes at once; nothing may be done until it does.
  for (;;) continue
}

/** Dies before or after `work`, where that writes the step down. */
function around<Result>(written: string | undefined, work: () => Result): Result {
  if (written === step && when === 'before') die()
  const result = work()
  if (written === step) die()
  return result
}

const journal = MoveJournal.prototype
const enter = Reflect.get(journal, 'enter')
journal.enter = function (...args) {
  return around(args[1].step, () => enter.apply(this, args))
}
const state = State.prototype
const putInForce = Reflect.get(state, 'putInForce')
state.putInForce = function (...args) {
  return around(args[2].move.step, () => putInForce.apply(this, args))
}

const { config } = await loadConfig(file)
const interrupted = new AbortController()
const { signal } = interrupted
const isToStop = step === 'giving_up' || step === 'stopped'
const request = {
  user,
  to: namedBackend(config, to),
  order: 'begun',
  merge: false,
  maxBad: 0,
  at: step === 'waiting' ? Date.now() + 3_600_000 : undefined,
} as const
const listener = {
  step: (move: Move) => {
    if (isToStop && move.step === 'settling') interrupted.abort()
  },
  progress: () => undefined,
  note: () => undefined,
}
if (step === 'purging' || step === 'purged') {
  process.stdout.write(JSON.stringify(await purgeMoves(config, Date.now() + 2e9, signal)))
} else {
  const report = await moveUser(config, request, listener, signal)
  process.stdout.write(JSON.stringify(report.record?.details.error ?? report.result))
}
