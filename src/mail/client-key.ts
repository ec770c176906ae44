/** What counts as one client: an IPv4 address, or the /64 of an IPv6 one, which a host owns as a whole. */
import ipaddr from 'ipaddr.js'
import { canonicalHost, withoutZone } from './network.ts'

export interface ClientKey {
  readonly own: string
  /** The /48 of an IPv6 client, which a site owns as a whole. */
  readonly site: string | undefined
}

/** Canonical address → keys. */
export function clientKey(address: string): ClientKey {
  if (!address.includes(':')) return { own: address, site: undefined }
  const { parts } = ipaddr.IPv6.parse(address)
  const prefix = (groups: number): string =>
    parts
      .slice(0, groups)
      .map((part) => part.toString(16))
      .join(':')
  return { own: `${prefix(4)}/64`, site: `${prefix(3)}/48` }
}

/** What is most likely in one hand: the /24 of an IPv4 address, the /48 of an IPv6 one. */
export function networkOf(address: string): string {
  const host = canonicalHost(withoutZone(address))
  if (host === undefined) return 'unknown'
  if (!host.includes(':')) return host.replace(/\d+$/, '0/24')
  const { parts } = ipaddr.IPv6.parse(host)
  return `${new ipaddr.IPv6([...parts.slice(0, 3), 0, 0, 0, 0, 0]).toString()}/48`
}
