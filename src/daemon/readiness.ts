/** Whether clients should be sent to this front end. */
import { counted } from '../base/counted.ts'
import type { WorkerStatus } from '../control/messages.ts'
import type { BackendHealth, PortHealth } from './backend-health.ts'
import type { Check } from './metrics/pages.ts'
import { type Settings, servicesOf } from './settings.ts'

export interface Situation {
  readonly settings: Settings
  readonly generation: number
  readonly workers: readonly Pick<WorkerStatus, 'role' | 'state'>[]
  readonly health: Pick<BackendHealth, 'usable'>
  readonly isStopping: boolean
}

/** Before there is anything to say. */
export const notStarted: readonly Check[] = [{ name: 'serving', ok: false, text: 'starting' }]

const proven: ReadonlySet<PortHealth['state']> = new Set(['up'])
/** Where nothing is probed, a back-end that nobody has used is given the benefit of the doubt. */
const unproven: ReadonlySet<PortHealth['state']> = new Set(['up', 'unknown'])

export function readinessOf(situation: Situation): Check[] {
  const { settings, generation, workers, health, isStopping } = situation
  const { config, listeners } = settings
  const serving = workers.filter(
    ({ role, state }) => role === 'worker' && state === 'serving',
  ).length
  const states = config.probeIntervalMs > 0 ? proven : unproven
  const usable = health.usable(servicesOf(settings), states)
  return [
    { name: 'serving', ok: !isStopping, text: isStopping ? 'draining' : 'takes new sessions' },
    { name: 'map', ok: generation > 0, text: `generation ${generation}` },
    {
      name: 'listeners',
      ok: serving > 0,
      text: `${counted(listeners.length, 'address', 'addresses')}, ${counted(serving, 'worker serves', 'workers serve')}`,
    },
    {
      name: 'back-ends',
      ok: usable > 0,
      text: `${usable} of ${config.backends.size} can be used`,
    },
  ]
}
