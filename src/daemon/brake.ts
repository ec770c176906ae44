/** How long a login that failed waits for its answer. */
import type { Generation } from './runtime.ts'

const longestBrakeMs = 15_000

/** Milliseconds; doubled for each failure before it in the session. `attempt` counts from 1. */
export function brakeMs({ config }: Generation, attempt: number): number {
  return Math.min(config.limits.authFailureDelayMs * 2 ** (attempt - 1), longestBrakeMs)
}
