/** `--within TIME`: how long sessions may go on. */
import { Flags } from '@oclif/core'
import { MailmuxError } from '../base/error.ts'
import { waits } from '../base/limit.ts'
import { parseDurationMs } from '../config/unit.ts'

export const withinFlag = {
  within: Flags.string({
    summary: 'How long sessions may go on.',
    default: '30m',
    helpValue: 'TIME',
  }),
}

/** Milliseconds. Throws USAGE where the text is no time with a unit, or too long a one. */
export function parseWithinMs(text: string): number {
  if (!/^[0-9]+ ?(ms|s|m|h|d)$/.test(text)) {
    throw new MailmuxError('USAGE', `${text} is no time such as 90s, 30m or 2h`)
  }
  const ms = parseDurationMs(text)
  if (ms > waits.mostDrainMs) throw new MailmuxError('USAGE', `${text} is more than 7d`)
  return ms
}
