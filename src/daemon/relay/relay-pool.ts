/** What all relay sessions of a worker share: connections to back-ends, and the way into the spool. */
import { SmtpPool } from '../../backend/smtp-pool.ts'
import type { FreezeTable } from '../freezes.ts'
import { relayOffersOf } from './relay-offers.ts'
import { SpoolGate } from './relay-spool.ts'
import type { Runtime } from '../runtime.ts'

interface RelayMeans {
  readonly pool: SmtpPool
  readonly spool: SpoolGate
  readonly freezes: FreezeTable
}

const means = new WeakMap<Runtime, RelayMeans>()

export function relayMeansOf(runtime: Runtime): RelayMeans {
  const known = means.get(runtime)
  if (known !== undefined) return known
  const pool = new SmtpPool()
  pool.learn = (plan, offered) => relayOffersOf(runtime).learn(plan, offered)
  const made = { pool, spool: new SpoolGate(runtime), freezes: runtime.freezes }
  means.set(runtime, made)
  runtime.reportBreakers(() => pool.breakers)
  return made
}

export function relayPoolOf(runtime: Runtime): SmtpPool {
  return relayMeansOf(runtime).pool
}
