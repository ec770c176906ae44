/** Addresses of hosts, and networks that contain them. RFC 4632, RFC 4291, RFC 5952. */
import ipaddr from 'ipaddr.js'
import { canonicalDomain } from './domain.ts'

/** Where a host connects from, or to. */
export interface HostAddress {
  /** Canonical, without brackets or zone. */
  readonly address: string
  readonly port: number
}

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number]

const dottedDecimal = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

/**
 * The one spelling of an address; undefined where the text is none. IPv4 only as four decimal numbers,
 * and without the prefix `::ffff:` that sockets put before it.
 */
export function canonicalHost(text: string): string | undefined {
  if (dottedDecimal.test(text)) return text
  if (!text.includes(':') || !ipaddr.IPv6.isValid(text) || text.includes('%')) return undefined
  const address = ipaddr.IPv6.parse(text)
  return address.isIPv4MappedAddress()
    ? address.toIPv4Address().toString()
    : address.toRFC5952String()
}

/** Without the zone that sockets put behind link-local addresses of IPv6. */
export function withoutZone(host: string): string {
  const at = host.indexOf('%')
  return at === -1 ? host : host.slice(0, at)
}

/** True for what a connection can be made to: an address, of IPv6 with its zone, or a name of DNS. */
export function isHost(text: string): boolean {
  if (text.includes(':')) return ipaddr.IPv6.isValid(text)
  // Numbers and dots are meant as an address, and no top-level domain is a number.
  return /^[\d.]*$/.test(text) ? dottedDecimal.test(text) : canonicalDomain(text) !== undefined
}

/** `10.0.1.0/24`, `2001:db8::/32` or one address; undefined where the text is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [host = '', bits, rest] = text.split('/')
  const canonical = canonicalHost(host)
  if (canonical === undefined || rest !== undefined) return undefined
  const address = ipaddr.parse(canonical)
  const longest = address.kind() === 'ipv4' ? 32 : 128
  if (bits === undefined) return [address, longest]
  // A network of IPv4 in IPv6's clothes would have its length counted otherwise.
  const isMapped = host.includes(':') && address.kind() === 'ipv4'
  if (!/^(?:0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > longest || isMapped) return undefined
  return [address, Number(bits)]
}

/** A network of IPv4: an address is in it whose number, divided by `size`, is `number`. */
interface NumberedNetwork {
  readonly size: number
  readonly number: number
}

const dot = 0x2e
const zero = 0x30

/** The octets of an address in dotted decimal as one number. Hot: without a string for each. */
function numberOf(address: string): number {
  let [number, octet] = [0, 0]
  for (let at = 0; at < address.length; at++) {
    const character = address.charCodeAt(at)
    if (character === dot) {
      number = number * 256 + octet
      octet = 0
    } else octet = octet * 10 + character - zero
  }
  return number * 256 + octet
}

/** Networks that a config lists. Every client is looked for in them. */
export class NetworkList {
  readonly #numbered: NumberedNetwork[] = []
  readonly #others: Network[] = []

  /** Texts that are no networks are left out: the config was checked. */
  constructor(texts: Iterable<string>) {
    for (const text of texts) {
      const network = parseNetwork(text)
      if (network === undefined) continue
      const [address, bits] = network
      const size = 2 ** (32 - bits)
      if (address.kind() === 'ipv6') this.#others.push(network)
      else this.#numbered.push({ size, number: Math.floor(numberOf(address.toString()) / size) })
    }
  }

  /** `host` as a socket tells it. */
  has(host: string): boolean {
    if (this.#numbered.length === 0 && this.#others.length === 0) return false
    const canonical = canonicalHost(host)
    if (canonical === undefined) return false
    if (!canonical.includes(':')) {
      const own = numberOf(canonical)
      return this.#numbered.some(({ size, number }) => Math.floor(own / size) === number)
    }
    const address = ipaddr.parse(canonical)
    return this.#others.some(([network, bits]) => address.match(network, bits))
  }
}

/** `192.0.2.7:25`, `[2001:db8::7]:25`. */
export function formatHost({ address, port }: HostAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
