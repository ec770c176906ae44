/** How many logins of a worker may be under way at each back-end: its share of what the config says. */
import { LoginGate } from '../backend/login-gate.ts'
import type { Generation, Runtime } from './runtime.ts'
import { workersOf } from './session-share.ts'

const ofRuntime = new WeakMap<Runtime, Map<string, LoginGate>>()

export function loginGateOf(runtime: Runtime, { config }: Generation, backend: string): LoginGate {
  const gates = ofRuntime.get(runtime) ?? new Map<string, LoginGate>()
  ofRuntime.set(runtime, gates)
  const logins = config.backends.get(backend)?.logins ?? 1
  const limit = Math.ceil(logins / workersOf(config))
  const gate = gates.get(backend) ?? new LoginGate(limit)
  gates.set(backend, gate)
  gate.limit = limit
  return gate
}
