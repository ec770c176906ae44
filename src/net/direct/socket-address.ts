/** Addresses of sockets as the kernel has them: sockaddr_in and sockaddr_in6 of ip(7) and ipv6(7). */
import { endianness } from 'node:os'
import type { SystemCalls } from './system-calls.ts'

const families = { 4: 2, 6: 10 } as const
const addressAt = { 4: 4, 6: 8 } as const
const sizes = { 4: 16, 6: 28 } as const
const isLittle = endianness() === 'LE'

export interface SocketAddress {
  /** Without a zone. */
  readonly address: string
  readonly port: number
}

export const nowhere: SocketAddress = { address: '', port: 0 }

/** `address`: of IPv4 or IPv6, without a zone. Returns it with its family at its beginning. */
export function encodeAddress(calls: SystemCalls, { address, port }: SocketAddress): Buffer {
  const version = address.includes(':') ? 6 : 4
  const encoded = Buffer.alloc(sizes[version])
  if (isLittle) encoded.writeUInt16LE(families[version], 0)
  else encoded.writeUInt16BE(families[version], 0)
  encoded.writeUInt16BE(port, 2)
  const isAddress = calls.parseHost(
    families[version],
    address,
    encoded.subarray(addressAt[version]),
  )
  if (!isAddress) throw new Error(`not an address: ${address}`)
  return encoded
}

export function familyOf(encoded: Buffer): number {
  return isLittle ? encoded.readUInt16LE(0) : encoded.readUInt16BE(0)
}

/** IPv4 in IPv6's clothes is `::ffff:192.0.2.7`, as Node has it. Empty for other families. */
export function decodeAddress(calls: SystemCalls, encoded: Buffer): SocketAddress {
  const family = familyOf(encoded)
  const port = encoded.readUInt16BE(2)
  if (family === families[4]) {
    return { address: `${encoded[4]}.${encoded[5]}.${encoded[6]}.${encoded[7]}`, port }
  }
  if (family !== families[6]) return nowhere
  return { address: calls.formatHost(family, encoded.subarray(addressAt[6])), port }
}
