/**
 * An exchange between client and back-end that is only carried: the mechanisms whose proof is meant
 * for the back-end alone. `ExchangeWatch` knows the rules of one: whose turn it is, and whether what
 * is said belongs there, so that neither side can make the other believe something that was not said.
 * Octets are latin1 strings.
 */
import { assertNever } from '../../base/never.ts'
import type { Mechanism } from '../../config/config.ts'
import type { Unusable } from '../sasl.ts'
import { readBearer, renameBearer } from './bearer.ts'
import { type ClientFirst, isClientFinal, readClientFirst, readServerFinal } from './scram.ts'
import { readServerFirst, type ServerFirst } from './scram.ts'

export type ExchangeMechanism = Exclude<Mechanism, 'PLAIN' | 'LOGIN' | 'EXTERNAL'>

export interface Exchange {
  readonly mechanism: ExchangeMechanism
  /** The user's name in the client's first message, decoded from UTF-8. */
  readonly login: string
  /** The client's first message. Never logged. */
  readonly first: string
}

/** Reads the client's first message. */
export function readExchange(
  mechanism: ExchangeMechanism,
  first: string,
): { readonly kind: 'exchange'; readonly exchange: Exchange } | Unusable {
  const read = isBearer(mechanism) ? readBearer(mechanism, first) : readClientFirst(first)
  if (read.kind === 'unusable') return read
  return { kind: 'exchange', exchange: { mechanism, login: read.login, first } }
}

/** Mechanisms in which the first message is all that the client has to say. */
export function isBearer(mechanism: ExchangeMechanism): mechanism is 'OAUTHBEARER' | 'XOAUTH2' {
  return mechanism === 'OAUTHBEARER' || mechanism === 'XOAUTH2'
}

/** The first message for a back-end. What SCRAM proves, it proves of the very name that was sent. */
export function firstFor({ mechanism, login, first }: Exchange): string {
  return isBearer(mechanism) ? renameBearer(mechanism, first, login) : first
}

/** What a message of the back-end is: to be passed on, its refusal, or nothing that belongs here. */
export type ChallengeVerdict = 'pass' | 'refused' | 'wrong'

type Step =
  | 'first-sent'
  /** The client is to answer, and then the back-end. */
  | 'server-first'
  | 'client-final'
  | 'server-final'
  | 'error'
  | 'acknowledged'

export class ExchangeWatch {
  readonly #first: ClientFirst | undefined
  #step: Step = 'first-sent'
  /** Of SCRAM, once the back-end has said it. */
  serverFirst: ServerFirst | undefined

  constructor({ mechanism, first }: Exchange) {
    const read = isBearer(mechanism) ? undefined : readClientFirst(first)
    this.#first = read?.kind === 'name' ? read : undefined
  }

  /** Nothing was said to the client yet. */
  get isFresh(): boolean {
    return this.#step === 'first-sent'
  }

  /** Whether the back-end may say now that the login is done. */
  get mayAccept(): boolean {
    return this.#step === (this.#first === undefined ? 'first-sent' : 'acknowledged')
  }

  challenge(message: string): ChallengeVerdict {
    switch (this.#step) {
      case 'first-sent':
        if (this.#first === undefined) return this.#pass('error')
        this.serverFirst = readServerFirst(message, this.#first.nonce)
        if (this.serverFirst !== undefined) return this.#pass('server-first')
        return readServerFinal(message) === 'error' ? 'refused' : 'wrong'
      case 'client-final': {
        const kind = readServerFinal(message)
        if (kind === 'verifier') return this.#pass('server-final')
        return kind === 'error' ? 'refused' : 'wrong'
      }
      case 'server-first':
      case 'server-final':
      case 'error':
      case 'acknowledged':
        return 'wrong'
      default:
        return assertNever(this.#step)
    }
  }

  /** Whether the client's answer belongs here; else it has failed to log in. */
  response(message: string): boolean {
    switch (this.#step) {
      case 'server-first': {
        const [{ header = '' } = {}, { nonce = '' } = {}] = [this.#first, this.serverFirst]
        this.#step = 'client-final'
        return isClientFinal(message, header, nonce)
      }
      case 'server-final':
        this.#step = 'acknowledged'
        return message === ''
      case 'error':
        // RFC 7628 section 3.2.3: whatever it says, it says nothing.
        return true
      case 'first-sent':
      case 'client-final':
      case 'acknowledged':
        return false
      default:
        return assertNever(this.#step)
    }
  }

  #pass(step: Step): 'pass' {
    this.#step = step
    return 'pass'
  }
}
