/** A failure as `--json` shows it. */
import type { MailmuxError } from './error.ts'
import type { Position } from './position.ts'
import type { Problem } from './problem.ts'

export interface ErrorJson {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly hint?: string
    readonly at?: Position
    readonly problems?: readonly Problem[]
  }
}

/** What a failure that sums up many is made of. */
export function problemsOf(failure: MailmuxError): readonly Problem[] | undefined {
  return 'problems' in failure ? (failure.problems as readonly Problem[]) : undefined
}

export function toErrorJson(failure: MailmuxError): ErrorJson {
  const problems = problemsOf(failure)
  return {
    error: {
      code: failure.code,
      message: failure.message,
      hint: failure.hint,
      ...(failure.at === undefined ? {} : { at: failure.at }),
      ...(problems === undefined ? {} : { problems }),
    },
  }
}
