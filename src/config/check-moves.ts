/** What the schema cannot say of users who move. */
import type { Problem } from '../base/problem.ts'
import type { Config } from './config.ts'
import { type Locate, problem } from './locate.ts'

/** More often, the daemon would do little else. */
const leastEveryMs = 1_000

export function checkMoves({ move }: Config, locate: Locate): Problem[] {
  const { quietMs, freezeLimitMs, dueEveryMs } = move
  const isEndless = quietMs > 0 && quietMs >= freezeLimitMs
  const isBusy = dueEveryMs > 0 && dueEveryMs < leastEveryMs
  return [
    ...(isEndless
      ? [
          bad(
            'quiet_time',
            'must be shorter than move.freeze_limit',
            'no freeze would end with a move',
          ),
        ]
      : []),
    ...(isBusy ? [bad('due_every', 'must be 1s at least', '0s for never')] : []),
  ]

  function bad(key: string, what: string, hint: string): Problem {
    return problem('bad-limit', `move.${key}: ${what}`, locate(['move', key], true), hint)
  }
}
