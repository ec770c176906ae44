/**
 * TLS towards the clients of a service. A session can be resumed at any worker of the host, also after
 * a reload, and at no other service: keys of tickets come from what the workers share, the service and
 * the time, so that all of them change keys at once and nobody has to tell another. A ticket under the
 * key before is no more than a full handshake.
 */
import { hkdfSync } from 'node:crypto'
import type { ServiceName } from '../base/log.ts'
import type { ServiceTls } from '../net/tls.ts'
import type { Runtime } from './runtime.ts'

const keyLifeMs = 4 * 3_600_000
const keyBytes = 48

/** Names of IANA's registry of protocols for ALPN; LMTP has none there. */
const names = {
  smtp: 'smtp',
  lmtp: 'lmtp',
  imap: 'imap',
  pop3: 'pop3',
  sieve: 'managesieve',
  submission: 'smtp',
} as const satisfies Record<ServiceName, string>

/** Undefined where no certificates are configured. */
export function clientTls(
  { current, secret }: Runtime,
  service: ServiceName,
): ServiceTls | undefined {
  return current.serverTls?.forService({
    name: service,
    alpn: names[service],
    ticketKey: ticketKeyAt(Date.now(), secret, service),
    takesCertificates: service !== 'smtp' && service !== 'lmtp',
  })
}

interface DerivedKey {
  readonly period: number
  readonly secret: Uint8Array
  readonly key: Buffer
}

/** The newest of each service: deriving one takes longer than all else that a session needs of it. */
const derived = new Map<ServiceName, DerivedKey>()

/** `now` is of the epoch, in milliseconds. */
export function ticketKeyAt(now: number, secret: Uint8Array, service: ServiceName): Buffer {
  const period = Math.floor(now / keyLifeMs)
  const last = derived.get(service)
  if (last?.period === period && last.secret === secret) return last.key
  const info = `tls tickets ${service} ${period}`
  const key = Buffer.from(hkdfSync('sha256', secret, '', info, keyBytes))
  derived.set(service, { period, secret, key })
  return key
}
