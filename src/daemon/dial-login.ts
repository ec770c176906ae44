/** Dials a port of a back-end and logs in there, with what it may hear of the client. */
import { LoginClient, type LoginWaiter } from '../backend/login-client.ts'
import { introducedFor, prefaceFor } from '../backend/passed-client.ts'
import type { ClientPassing, Endpoint } from '../config/config.ts'
import type { Trust } from '../net/dial.ts'
import type { LoginProof } from '../protocol/login.ts'
import type { ClientAttributes } from '../protocol/smtp/client-attributes.ts'
import { loginGateOf } from './login/login-gates.ts'
import { loginOffersOf } from './login/login-offers.ts'
import type { LoginProtocol } from './login/login-protocol.ts'
import type { Generation, Runtime } from './runtime.ts'

/** A port that takes logins. */
export interface LoginPort {
  readonly backend: string
  readonly endpoint: Endpoint
  readonly trust: Trust | undefined
  readonly clientAddress: ClientPassing
  /** The user's name there. */
  readonly login: string
}

export interface LoginCall {
  readonly protocol: Pick<LoginProtocol, 'service' | 'createBackEnd'>
  readonly port: LoginPort
  readonly proof: LoginProof
  /** Undefined where the back-end hears of nobody. */
  readonly client: ClientAttributes | undefined
  /** As latin1 octets: whom we have let in, where XCLIENT is to say so. */
  readonly told?: string | undefined
}

export interface DialingHost {
  readonly runtime: Runtime
  readonly generation: Generation
}

export function dialLogin(
  { runtime, generation }: DialingHost,
  { protocol, port, proof, client, told }: LoginCall,
  waiter: LoginWaiter,
): LoginClient {
  const { hostname, limits } = generation.config
  const { connectTimeoutMs, loginTimeoutMs } = limits
  const { endpoint, trust, clientAddress } = port
  const passed = { clientAddress, client }
  const introduced = introducedFor(protocol.service, passed)
  const introduction = {
    hostname,
    client: told === undefined ? introduced : { ...client, login: told },
    isPipelining: loginOffersOf(runtime, protocol.service).isPipelining(port),
  }
  const machine = protocol.createBackEnd(endpoint.tls, proof, introduction)
  const preface = prefaceFor(passed)
  const gate = loginGateOf(runtime, generation, port.backend)
  const own = { machine, endpoint, trust, preface, gate }
  return new LoginClient({ ...own, connectTimeoutMs, loginTimeoutMs }, waiter)
}
