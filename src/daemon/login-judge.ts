/** Whether a login may go to its back-end, and with what: as the client gave it, or as an administrator. */
import type { LoginProof } from '../protocol/login.ts'
import type { Generation } from './runtime.ts'

interface Goal {
  readonly user: string
  readonly backend: string
  readonly login: string
}

export class LoginJudge {
  readonly #proof: LoginProof
  /** Whose password the client has proven to know. */
  #verified: string | undefined
  isBusy = false

  constructor(proof: LoginProof) {
    this.#proof = proof
  }

  /** The client is who it says, and only an administrator can be refused now. */
  get hasVerified(): boolean {
    return this.#verified !== undefined
  }

  isDue({ verifier }: Generation, { user }: Goal): boolean {
    return verifier !== undefined && this.#verified !== user
  }

  /** Whether it is the user's password; undefined where that can't be told now. */
  async judge({ verifier }: Generation, { user }: Goal): Promise<boolean | undefined> {
    const proof = this.#proof
    // No exchange is offered where we judge.
    if (verifier === undefined || !('password' in proof)) return false
    this.isBusy = true
    const isRight = await verifier.isPassword(user, proof.password)
    this.isBusy = false
    this.#verified = isRight === true ? user : undefined
    return isRight
  }

  /** What to log in with there. */
  proofAt({ verifier, config }: Generation, { backend, login }: Goal): LoginProof {
    if (verifier === undefined) return { ...this.#proof, login }
    return verifier.proofAt(config.backends.get(backend), login)
  }
}
