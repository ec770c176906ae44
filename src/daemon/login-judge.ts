/** Whether a login may go to its back-end, and with what: as the client gave it, or as an administrator. */
import type { LoginProof } from '../protocol/login.ts'
import { type ClientProof, isCertified } from './certified-login.ts'
import type { Generation } from './runtime.ts'

interface Goal {
  readonly user: string
  readonly backend: string
  readonly login: string
}

export class LoginJudge {
  readonly #proof: ClientProof
  /** Whose password the client has proven to know. */
  #verified: string | undefined
  isBusy = false

  constructor(proof: ClientProof) {
    this.#proof = proof
  }

  /** The client has asked to be somebody else than its certificate says. */
  get isForeign(): boolean {
    return isCertified(this.#proof) && !this.#proof.isOwn
  }

  /** The client is who it says, and only an administrator can be refused now. */
  get hasVerified(): boolean {
    return this.#verified !== undefined || isCertified(this.#proof)
  }

  isDue({ verifier }: Generation, { user }: Goal): boolean {
    return verifier !== undefined && this.#verified !== user && !isCertified(this.#proof)
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

  /** What to log in with there; undefined where no administrator can. */
  proofAt(
    { verifier, certified, config }: Generation,
    { backend, login }: Goal,
  ): LoginProof | undefined {
    const proof = this.#proof
    if (isCertified(proof)) return certified?.proofAt(config.backends.get(backend), login)
    if (verifier === undefined) return { ...proof, login }
    return verifier.admins.proofAt(config.backends.get(backend), login)
  }
}
