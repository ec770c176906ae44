/** Asks the daemon of a run_dir. */
import { connect } from 'node:net'
import { MailmuxError, messageOf } from '../base/error.ts'
import { FrameReader } from './frame-reader.ts'
import {
  type Answer,
  type Answers,
  answerBytes,
  controlVersion,
  type Details,
  formatFrame,
  parseAnswer,
  type Refusal,
  type Request,
  type Verb,
} from './messages.ts'
import { controlPath } from './path.ts'

export interface AskOptions<V extends Verb> {
  readonly details?: Details[V] | undefined
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined
}

/**
 * One request, one answer. Throws DAEMON_UNREACHABLE where none runs or none answers within
 * `timeoutMs` or until `signal` ends the wait; RELOAD_REFUSED, RESTART_REFUSED or DAEMON_REFUSED with
 * the daemon's words.
 */
export async function askDaemon<V extends Verb>(
  runDir: string,
  verb: V,
  timeoutMs: number,
  { details, signal }: AskOptions<V> = {},
): Promise<Answers[V]> {
  const path = controlPath(runDir)
  const request = {
    v: controlVersion,
    do: verb,
    ...(details === undefined ? {} : { with: details }),
  }
  const answer = await exchange(path, formatFrame(request as Request), timeoutMs, signal)
  if ('error' in answer) throw refused(answer.error)
  return answer.result as Answers[V]
}

function exchange(
  path: string,
  request: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const reader = new FrameReader(answerBytes)
    const socket = connect({ path, ...(signal === undefined ? {} : { signal }) })
    const fail = (why: string, cause?: unknown): void => {
      socket.destroy()
      reject(new MailmuxError('DAEMON_UNREACHABLE', `${path}: ${why}`, { cause }))
    }
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs / 1000} s`), timeoutMs)
    socket.on('connect', () => socket.write(request))
    socket.on('error', (error) => fail(explain(error), error))
    socket.on('close', () => {
      clearTimeout(timer)
      fail('the daemon closed the connection without an answer')
    })
    socket.on('data', (chunk: Buffer) => {
      for (const event of reader.push(chunk)) {
        const answer = event.kind === 'frame' ? parseAnswer(event.text) : undefined
        if (answer === undefined) fail('the answer is not understood: is it of another version?')
        else resolve(answer)
        socket.destroy()
      }
    })
  })
}

function explain(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return 'no daemon is running'
  if (error.code === 'EACCES') return 'this user may not speak to the daemon'
  return messageOf(error)
}

function refused({ code, message, problems }: Refusal): MailmuxError {
  const isKnown = code === 'RELOAD_REFUSED' || code === 'RESTART_REFUSED'
  const known = isKnown ? code : 'DAEMON_REFUSED'
  return new MailmuxError(known, [...problems, message].join('\n'))
}
