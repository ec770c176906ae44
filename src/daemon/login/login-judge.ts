/**
 * Whether a login may go to its back-end, and with what: as the client gave it, as an administrator,
 * or as whoever sends by the smarthost for all.
 */
import type { LoginProof } from '../../protocol/login.ts'
import { octetsOf } from '../../protocol/sasl.ts'
import { type ClientProof, isCertified } from '../certified-login.ts'
import type { FoundRoute as Route } from './login-route.ts'
import { type AskOptions, OwnBackend } from '../own-backend.ts'
import type { Generation } from '../runtime.ts'

export class LoginJudge {
  readonly #proof: ClientProof
  readonly #options: Omit<AskOptions, 'generation'>
  /** Whose password the client has proven to know. */
  #verified: string | undefined
  #asked: OwnBackend | undefined
  isBusy = false

  constructor(proof: ClientProof, options: Omit<AskOptions, 'generation'>) {
    this.#proof = proof
    this.#options = options
  }

  /** The client has asked to be somebody else than its certificate says. */
  get isForeign(): boolean {
    return isCertified(this.#proof) && !this.#proof.isOwn
  }

  /** The client is who it says, and only who logs in for it can be refused now. */
  get hasVerified(): boolean {
    return this.#verified !== undefined || isCertified(this.#proof)
  }

  isDue({ verifier }: Generation, { user, asked }: Route): boolean {
    const isJudged = verifier !== undefined || asked !== undefined
    return isJudged && this.#verified !== user && !isCertified(this.#proof)
  }

  /** Whether it is the user's password; undefined where that can't be told now. */
  async judge(generation: Generation, route: Route): Promise<boolean | undefined> {
    this.isBusy = true
    const isRight = await this.#isRight(generation, route)
    this.isBusy = false
    this.#verified = isRight === true ? route.user : undefined
    return isRight
  }

  /** What is being asked is of no use any more. */
  abort(): void {
    this.#asked?.abort()
  }

  /** What to log in with there; undefined where no administrator can. */
  proofAt(generation: Generation, route: Route): LoginProof | undefined {
    const { verifier, certified, config, smarthostPassword = '' } = generation
    const { backend, login, user } = route
    if (route.isElsewhere) {
      const { smarthostLogin } = config
      const name = typeof smarthostLogin === 'object' ? smarthostLogin.user : user
      return { login: name, password: smarthostPassword }
    }
    const proof = this.#proof
    if (isCertified(proof)) return certified?.proofAt(config.backends.get(backend), login)
    if (verifier === undefined) return { ...proof, login }
    return verifier.admins.proofAt(config.backends.get(backend), login)
  }

  /** Whom the smarthost is to believe that we have let in, as latin1 octets. */
  toldAt({ config }: Generation, { isElsewhere, user }: Route): string | undefined {
    return isElsewhere && config.smarthostLogin === 'xclient' ? octetsOf(user) : undefined
  }

  async #isRight(generation: Generation, { user, asked }: Route): Promise<boolean | undefined> {
    const { verifier } = generation
    const proof = this.#proof
    // No exchange is offered where somebody else than the back-end judges.
    if (!('password' in proof)) return false
    if (verifier !== undefined) return verifier.isPassword(user, proof.password)
    if (asked === undefined) return false
    this.#asked = new OwnBackend({ ...this.#options, generation }, asked, proof)
    return this.#asked.answer
  }
}
