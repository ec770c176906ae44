/**
 * Back-ends that have not said in time what becomes of a message. Its sender was told to try again;
 * here it is heard what they say after all, for the log alone. So many at once, for a bounded time.
 */
import { waits } from '../base/limit.ts'
import type { Connection } from '../net/connection.ts'
import { deadlines, type Timed } from '../net/deadline.ts'
import type { SmtpBackEnd } from '../protocol/smtp/back-end.ts'
import type { SmtpUser } from './smtp-user.ts'

/** A connection whose user waits no more. */
export interface Overdue {
  readonly socket: Connection
  readonly machine: SmtpBackEnd
  readonly user: SmtpUser
  /** How long its verdict was waited for. */
  readonly waitedMs: number
}

const atOnce = 100

class Listening implements Timed {
  due: Timed['due']
  readonly #overdue: Overdue
  readonly #over: (listening: Listening) => void
  readonly #startedAt = performance.now()

  constructor(overdue: Overdue, over: (listening: Listening) => void) {
    this.#overdue = overdue
    this.#over = over
    const end = (): void => this.end()
    overdue.socket.on('end', end).on('error', end).on('close', end)
    deadlines.arm(this, waits.lateVerdictMs)
  }

  take(octets: Buffer): void {
    const { machine, user, socket, waitedMs } = this.#overdue
    for (const action of machine.push(octets)) {
      if (action.do === 'fail') return this.end()
      if (action.do !== 'message') continue
      user.lateVerdict?.(action.replies, waitedMs + performance.now() - this.#startedAt)
      socket.end('QUIT\r\n')
    }
    if (!machine.awaitsReply) this.end()
  }

  timedOut(): void {
    this.end()
  }

  end(): void {
    deadlines.disarm(this)
    this.#overdue.socket.destroySoon()
    this.#over(this)
  }
}

export class LateVerdicts {
  readonly #listening = new Set<Listening>()

  /** Takes the connection over. Returns what is to be given what it says; undefined: no room. */
  listen(overdue: Overdue): ((octets: Buffer) => void) | undefined {
    if (this.#listening.size >= atOnce) return undefined
    const listening = new Listening(overdue, (one) => this.#listening.delete(one))
    this.#listening.add(listening)
    return (octets) => listening.take(octets)
  }

  close(): void {
    for (const listening of this.#listening) listening.end()
  }
}
