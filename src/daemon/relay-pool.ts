/** The connections to back-ends that all relay sessions of a worker share. */
import { SmtpPool } from '../backend/smtp-pool.ts'
import type { Runtime } from './runtime.ts'

const pools = new WeakMap<Runtime, SmtpPool>()

export function relayPoolOf(runtime: Runtime): SmtpPool {
  const pool = pools.get(runtime) ?? new SmtpPool()
  pools.set(runtime, pool)
  return pool
}
