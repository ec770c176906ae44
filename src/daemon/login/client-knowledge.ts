/** What a config says of clients, made ready once for all sessions that have it. */
import type { Config } from '../../config/config.ts'
import { NetworkList } from '../../mail/network.ts'
import { ClientNames, dnsQuery } from '../../net/client-names.ts'

interface Knowledge {
  readonly trusted: NetworkList
  /** Undefined where names are not looked up. */
  readonly names: ClientNames | undefined
}

const knowledge = new WeakMap<Config, Knowledge>()

function of(config: Config): Knowledge {
  const known = knowledge.get(config)
  if (known !== undefined) return known
  const names =
    config.clientNames === 'dns' ? new ClientNames(dnsQuery(config.dnsServers)) : undefined
  const made = { trusted: new NetworkList(config.trustedProxies), names }
  knowledge.set(config, made)
  return made
}

/** Whether a host, as its address stands, is believed when it says whom it speaks for. */
export function isTrusted(config: Config, address: string): boolean {
  return of(config).trusted.has(address)
}

export function namesFor(config: Config): ClientNames | undefined {
  return of(config).names
}
