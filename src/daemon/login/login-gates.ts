/** How many logins of a worker may be under way at each back-end: its share of what the config says. */
import { LoginGate } from '../../backend/login-gate.ts'
import { PerRuntime } from '../per-runtime.ts'
import type { Generation, Runtime } from '../runtime.ts'
import { workersOf } from '../session-share.ts'

const gates = new PerRuntime<string, LoginGate>(() => new LoginGate(1))

export function loginGateOf(runtime: Runtime, { config }: Generation, backend: string): LoginGate {
  const gate = gates.of(runtime, backend)
  const logins = config.backends.get(backend)?.logins ?? 1
  gate.limit = Math.ceil(logins / workersOf(config))
  return gate
}
