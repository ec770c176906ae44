/**
 * The client's side of a login by SASL until we know what it is: name and password, an exchange that
 * a back-end must carry on, or a claim to be whom the client's certificate names.
 */
import type { Mechanism } from '../../config/config.ts'
import { decodeBase64, type ReadCredentials, readCredentials, readPlain } from '../sasl.ts'
import { type Exchange, readExchange } from './exchange.ts'
import { type Claim, readExternal } from './external.ts'

export type DialogueStep =
  /** The client is to answer this. */
  | { readonly kind: 'ask'; readonly message: string }
  | { readonly kind: 'exchange'; readonly exchange: Exchange }
  | Claim
  | ReadCredentials

/** What LOGIN asks for, in the words that clients compare (draft-murchison-sasl-login). */
const prompts = { user: 'Username:', password: 'Password:' } as const

export class SaslDialogue {
  readonly #mechanism: Mechanism
  /** LOGIN: the first answer. */
  #user: string | undefined

  constructor(mechanism: Mechanism) {
    this.#mechanism = mechanism
  }

  /** What is asked where the client has sent nothing along. */
  get opening(): string {
    return this.#mechanism === 'LOGIN' ? prompts.user : ''
  }

  /** Takes the client's message in base64, as it was sent. */
  answer(response: string): DialogueStep {
    if (this.#mechanism === 'PLAIN') return readPlain(response)
    // curl 7.88 says nothing with the sign that is for initial responses also where it is asked.
    const isNothing = this.#mechanism === 'EXTERNAL' && response === '='
    const message = isNothing ? '' : decodeBase64(response)
    if (message === undefined) return { kind: 'malformed' }
    if (this.#mechanism === 'LOGIN') return this.#answerLogin(message)
    if (this.#mechanism === 'EXTERNAL') return readExternal(message)
    return message === '' ? { kind: 'malformed' } : readExchange(this.#mechanism, message)
  }

  #answerLogin(message: string): DialogueStep {
    if (this.#user !== undefined) return readCredentials(this.#user, message)
    this.#user = message
    return { kind: 'ask', message: prompts.password }
  }
}
