/**
 * How long a login that failed waits for its answer, and whether it is tried at all: by what has failed
 * before in its session, from its address, and under its name. A place among those of its address that
 * are under way is kept for that time, also where the client has gone: who hangs up to be quicker is
 * not quicker.
 */
import { isBearer } from '../protocol/sasl/exchange.ts'
import type { TriedLogin } from './admission/login-brakes.ts'
import { type ClientProof, isCertified } from './certified-login.ts'
import type { LoginAttemptOptions } from './login/login-protocol.ts'
import type { LoginTurn } from './login/login-turns.ts'
import type { Runtime } from './runtime.ts'

const longestBrakeMs = 15_000

/** Milliseconds, for a login that could not even be tried. `attempt` counts those of the session from 1. */
export function brakeMs(runtime: Runtime, address: string, attempt: number): number {
  const tried = { address, login: undefined, secret: undefined }
  return delayMs(runtime, attempt, runtime.brakes.failed(tried, Date.now()))
}

/** Doubled for each failure before it. */
function delayMs({ current }: Runtime, attempt: number, before: number): number {
  const doublings = Math.max(attempt - 1, before)
  return Math.min(current.config.limits.authFailureDelayMs * 2 ** doublings, longestBrakeMs)
}

/** What may be compared with what was tried before. A proof of SCRAM is another each time. */
function secretOf(proof: ClientProof): string | undefined {
  // Nothing is learned by the same certificate again; and no password can be this.
  if (isCertified(proof)) return '\0'
  if ('password' in proof) return proof.password
  return isBearer(proof.mechanism) ? proof.first : undefined
}

export class LoginBrake {
  readonly #options: LoginAttemptOptions
  readonly #tried: TriedLogin
  /** When the client last said something, or the login had its turn. */
  #startedAt = performance.now()
  #turn: LoginTurn | undefined
  /** Once it has failed. */
  #delayMs: number | undefined

  constructor(options: LoginAttemptOptions) {
    const { client, proof } = options
    this.#options = options
    const { address } = client
    this.#tried = { address, login: proof.login || undefined, secret: secretOf(proof) }
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt
  }

  restart(): void {
    this.#startedAt = performance.now()
  }

  /** Calls back once it is known whether the login is to be tried, maybe at once; unless it is ended. */
  enter(answer: (isTried: boolean) => void): void {
    const { runtime, fields } = this.#options
    const { address } = this.#tried
    const refuse = (reason: 'auth_rate' | 'auth_parallel'): void => {
      runtime.log('refuse', { ...fields, reason })
      answer(false)
    }
    if (runtime.brakes.isBarred(address, Date.now())) return refuse('auth_rate')
    const hasTurn = (): void => {
      this.restart()
      answer(true)
    }
    this.#turn = runtime.turns.take(address, { hasTurn, hasNone: () => refuse('auth_parallel') })
    if (this.#turn.hasPlace) answer(true)
  }

  /** It has failed, which counts once. Returns for how long its answer has still to wait. */
  failed(): number {
    const { runtime, attempt } = this.#options
    this.#delayMs ??= delayMs(runtime, attempt, runtime.brakes.failed(this.#tried, Date.now()))
    const leftMs = Math.max(0, this.#delayMs - this.elapsedMs)
    this.#turn?.end(leftMs)
    return leftMs
  }

  succeeded(): void {
    this.#options.runtime.brakes.succeeded(this.#tried, Date.now())
    this.end()
  }

  /** It is under way no more, or only waits for something else than a back-end. */
  end(): void {
    this.#turn?.end()
  }
}
