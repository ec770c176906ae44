/** What the schema cannot say of users who move. */
import type { Problem } from '../base/problem.ts'
import type { Config } from './config.ts'
import { type Locate, problem } from './locate.ts'

/** More often, the daemon would do little else. */
const leastEveryMs = 1_000
/** Less often, sweeps would come late. */
const mostEveryMs = 86_400_000

export function checkMoves({ move }: Config, locate: Locate): Problem[] {
  const { quietMs, freezeLimitMs, dueEveryMs } = move
  // The rest of a freeze takes its time, too, and may be done twice.
  const isEndless = quietMs * 2 > freezeLimitMs
  const isOdd = dueEveryMs > 0 && (dueEveryMs < leastEveryMs || dueEveryMs > mostEveryMs)
  return [
    ...(isEndless
      ? [
          bad(
            'quiet_time',
            'must be at most half of move.freeze_limit',
            'no freeze would end with a move',
          ),
        ]
      : []),
    ...(isOdd ? [bad('due_every', 'must be from 1s to 1d', '0s for never')] : []),
  ]

  function bad(key: string, what: string, hint: string): Problem {
    return problem('bad-limit', `move.${key}: ${what}`, locate(['move', key], true), hint)
  }
}
