/** What the front-end machine of a proxy must know of the client that it greets. */
import type { ListenerConfig, LoginService, Mechanism } from '../../config/config.ts'
import type { FrontEndOptions } from '../../protocol/login-machine.ts'
import { isUseful, reportCertificate, type Witness } from '../certified-login.ts'
import { isFromThisHost } from '../client-address.ts'
import type { ClientLine } from '../client-line.ts'
import type { LoginProtocol } from './login-protocol.ts'
import { loginOffersOf } from './login-offers.ts'
import type { Runtime } from '../runtime.ts'

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
    mechanisms: mechanismsOn(line, runtime, service),
  }
}

/** One of the two is called, once. */
interface TlsWaiter {
  readonly secured: (offered: readonly Mechanism[]) => void
  readonly failed: () => void
}

/** Takes the client's handshake, and tells what is offered to whom it has shown itself to be. */
export function secureLine(
  { service }: LoginProtocol,
  line: ClientLine,
  witness: Witness,
  { secured, failed }: TlsWaiter,
): void {
  const { runtime } = witness
  const then = (): void => {
    reportCertificate(line.certificate, witness)
    secured(mechanismsOn(line, runtime, service))
  }
  line.startTls(runtime, { secured: then, failed })
}

/** What is offered over a line as it is now. */
function mechanismsOn(
  { certificate }: ClientLine,
  runtime: Runtime,
  service: LoginService,
): readonly Mechanism[] {
  const isCertified = isUseful(certificate, runtime.current.config)
  return loginOffersOf(runtime, service).mechanismsFor(runtime.current, isCertified)
}
