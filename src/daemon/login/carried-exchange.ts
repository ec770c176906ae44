/** An exchange under way between a client and its back-end. */
import type { Naming } from '../../mail/address.ts'
import { type Exchange, ExchangeWatch, isBearer } from '../../protocol/sasl/exchange.ts'
import type { ClientProof } from '../certified-login.ts'
import { type LoginDecoys, loginDecoysOf } from './login-decoys.ts'
import { isSameLogin } from './login-route.ts'
import type { Runtime } from '../runtime.ts'

export interface Carried {
  readonly exchange: Exchange
  readonly watch: ExchangeWatch
  readonly decoys: LoginDecoys
  isDecoy: boolean
}

/** Undefined where the client has nothing more to prove. */
export function carry(proof: ClientProof, runtime: Runtime): Carried | undefined {
  if (!('mechanism' in proof)) return undefined
  const watch = new ExchangeWatch(proof)
  return { exchange: proof, watch, decoys: loginDecoysOf(runtime), isDecoy: false }
}

/** Whether it can be meant for `login`: a proof of SCRAM holds for the name that the client sent. */
export function isFor({ exchange }: Carried, login: string, naming: Naming): boolean {
  return isBearer(exchange.mechanism) || isSameLogin(exchange.login, login, naming)
}
