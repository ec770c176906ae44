/** Several reasons against settings, told as one. */
import { MailmuxError } from '../base/error.ts'

/** Everything that was found wrong, as one failure with the code of the first. */
export function combined(problems: readonly MailmuxError[]): MailmuxError {
  const [first] = problems
  if (first === undefined) return new MailmuxError('INTERNAL', 'refused without a problem')
  if (problems.length === 1) return first
  const lines = problems.map(({ located }) => located)
  return new MailmuxError(first.code, [...lines, `${problems.length} problems`].join('\n'))
}
