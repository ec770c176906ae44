/** How a session of the relay begins. */
import type { ListenerConfig } from '../../config/config.ts'
import { SmtpFrontEnd } from '../../protocol/smtp/front-end.ts'
import { relayOffersOf } from './relay-offers.ts'
import type { Runtime } from '../runtime.ts'

/** Where a session came in. */
export interface Entrance {
  readonly protocol: 'smtp' | 'lmtp'
  readonly listener: ListenerConfig
}

/** The machine for a client that came in there. */
export function frontEndFor(
  runtime: Runtime,
  { protocol, listener }: Entrance,
  isTrusted: boolean,
): SmtpFrontEnd {
  const { config, serverTls } = runtime.current
  return new SmtpFrontEnd({
    protocol,
    hostname: config.hostname,
    offers: relayOffersOf(runtime).offersFor(runtime.current),
    bareNewline: listener.bareNewline,
    startTls: listener.tls === 'starttls' && serverTls !== undefined,
    secure: listener.tls === 'implicit',
    isTrusted,
  })
}

/** Greets at once, or after a delay in which a client is to be silent; milliseconds. */
export function greetAfter(delayMs: number, greet: () => void): NodeJS.Timeout | undefined {
  if (delayMs > 0) return setTimeout(greet, delayMs)
  greet()
  return undefined
}
