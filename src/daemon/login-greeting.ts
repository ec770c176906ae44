/** What the front-end machine of a proxy must know of the client that it greets. */
import type { ListenerConfig } from '../config/config.ts'
import type { FrontEndOptions } from '../protocol/login-machine.ts'
import { isFromThisHost } from './client-address.ts'
import type { ClientLine } from './client-line.ts'
import type { LoginProtocol } from './login-protocol.ts'
import { loginOffersOf } from './login-offers.ts'
import type { Runtime } from './runtime.ts'

export function greetingFor(
  { service }: LoginProtocol,
  line: ClientLine,
  listener: ListenerConfig,
  runtime: Runtime,
): FrontEndOptions {
  const { config, serverTls } = runtime.current
  const secure = line.tls !== ''
  return {
    hostname: config.hostname,
    secure,
    offersTls: !secure && listener.tls === 'starttls' && serverTls !== undefined,
    allowsCleartext: listener.authAllowCleartext || isFromThisHost(line.socket),
    mechanisms: loginOffersOf(runtime, service).mechanismsFor(runtime.current),
  }
}
