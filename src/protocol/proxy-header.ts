/**
 * The header by which a proxy tells whose connection it passes on: PROXY protocol, versions 1 (a line
 * of text) and 2 (binary). Read from whatever pieces it comes in, and written.
 *
 * Strict: what is no header of either version is a fault at the first octet that shows it, and nothing
 * after a fault is looked at. Bounded: 107 octets of version 1, 4 KiB of version 2.
 */
import { canonicalHost, type HostAddress } from '../mail/network.ts'
import { crc32c } from './crc32c.ts'

export type ProxyHeader =
  | { readonly kind: 'proxied'; readonly source: HostAddress; readonly destination: HostAddress }
  /** The proxy speaks for itself, as its health checks do. */
  | { readonly kind: 'local' }
  /** It passes on a connection whose ends it does not tell. */
  | { readonly kind: 'unknown' }

export type ProxyFault = 'no_header' | 'too_long' | 'bad_syntax' | 'bad_checksum'

export type ProxyRead =
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly rest: Buffer }
  | { readonly kind: 'fault'; readonly fault: ProxyFault }

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const word = Buffer.from('PROXY ')
const lineBytes = 107
const fixedBytes = 16
/** A client certificate's names fit; 65,535 octets, which the length could say, are not waited for. */
const variableBytes = 4096
const checksumType = 0x03

const lf = 0x0a
const empty = Buffer.alloc(0)

export class ProxyHeaderReader {
  #bytes: Buffer = empty

  /** Undefined while more is needed. Not to be asked again after an answer. */
  push(chunk: Buffer): ProxyRead | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const bytes = this.#bytes
    if (startsLike(bytes, word)) return readText(bytes)
    if (startsLike(bytes, signature)) return readBinary(bytes)
    return fault('no_header')
  }
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.subarray(0, length).equals(start.subarray(0, length))
}

function fault(kind: ProxyFault): ProxyRead {
  return { kind: 'fault', fault: kind }
}

function readText(bytes: Buffer): ProxyRead | undefined {
  const end = bytes.subarray(0, lineBytes).indexOf(lf)
  if (end === -1) return bytes.length < lineBytes ? undefined : fault('too_long')
  const [, line] = /^PROXY (.*)\r\n$/s.exec(bytes.toString('latin1', 0, end + 1)) ?? []
  const header = line === undefined ? undefined : parseText(line)
  if (header === undefined) return fault('bad_syntax')
  return { kind: 'header', header, rest: bytes.subarray(end + 1) }
}

function parseText(line: string): ProxyHeader | undefined {
  if (/^UNKNOWN(?: [ -~]*)?$/.test(line)) return { kind: 'unknown' }
  const parts = line.split(' ')
  const [family, from = '', to = '', fromPort = '', toPort = ''] = parts
  if (parts.length !== 5 || (family !== 'TCP4' && family !== 'TCP6')) return undefined
  // A family is told by its spelling: IPv4 addresses inside IPv6 belong to TCP6.
  if ([from, to].some((text) => text.includes(':') !== (family === 'TCP6'))) return undefined
  const source = hostAddress(from, fromPort)
  const destination = hostAddress(to, toPort)
  if (source === undefined || destination === undefined) return undefined
  return { kind: 'proxied', source, destination }
}

function hostAddress(text: string, portText: string): HostAddress | undefined {
  const address = canonicalHost(text)
  const port = Number(portText)
  if (address === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(portText) || port > 65_535)
    return undefined
  return { address, port }
}

function readBinary(bytes: Buffer): ProxyRead | undefined {
  if (bytes.length < fixedBytes) return undefined
  const variable = bytes.readUInt16BE(14)
  if (variable > variableBytes) return fault('too_long')
  const end = fixedBytes + variable
  if (bytes.length < end) return undefined
  const rest = bytes.subarray(end)
  const read = parseBinary(bytes.subarray(0, end))
  return 'kind' in read ? { kind: 'header', header: read, rest } : fault(read.fault)
}

/** Octets of both addresses and ports, by the octet that tells family and transport. */
const familyBytes: Readonly<Record<number, number>> = { 0x11: 12, 0x21: 36, 0x31: 216, 0x32: 216 }

function parseBinary(header: Buffer): ProxyHeader | { readonly fault: ProxyFault } {
  const command = header[12]
  const family = header[13] ?? 0
  if (command !== 0x20 && command !== 0x21) return { fault: 'bad_syntax' }
  const addressBytes = familyBytes[family]
  // UNSPEC has no addresses that could be told from its attributes; of LOCAL all is to be ignored.
  if (command === 0x20) return { kind: 'local' }
  if (family === 0x00) return { kind: 'unknown' }
  if (addressBytes === undefined || header.length < fixedBytes + addressBytes) {
    return { fault: 'bad_syntax' }
  }
  const wrong = checkAttributes(header, fixedBytes + addressBytes)
  if (wrong !== undefined) return { fault: wrong }
  if (family === 0x31 || family === 0x32) return { kind: 'unknown' }
  const size = family === 0x11 ? 4 : 16
  const ports = fixedBytes + 2 * size
  return {
    kind: 'proxied',
    source: { address: readHost(header, fixedBytes, size), port: header.readUInt16BE(ports) },
    destination: {
      address: readHost(header, fixedBytes + size, size),
      port: header.readUInt16BE(ports + 2),
    },
  }
}

/** Attributes must fill the rest of the header; a checksum among them must be right. */
function checkAttributes(header: Buffer, start: number): ProxyFault | undefined {
  for (let at = start; at < header.length; ) {
    if (at + 3 > header.length) return 'bad_syntax'
    const value = at + 3
    const end = value + header.readUInt16BE(at + 1)
    if (end > header.length) return 'bad_syntax'
    if (header[at] === checksumType) {
      if (end - value !== 4) return 'bad_syntax'
      const plain = Buffer.from(header).fill(0, value, end)
      if (crc32c(plain) !== header.readUInt32BE(value)) return 'bad_checksum'
    }
    at = end
  }
  return undefined
}

function readHost(header: Buffer, at: number, size: number): string {
  const octets = header.subarray(at, at + size)
  if (size === 4) return octets.join('.')
  const groups = Array.from({ length: 8 }, (_, group) => octets.readUInt16BE(2 * group))
  return canonicalHost(groups.map((group) => group.toString(16)).join(':')) ?? '::'
}

/** What is written before anything else to a back-end that expects it. */
export function formatProxyHeader(version: 1 | 2, header: ProxyHeader): Buffer {
  return version === 1 ? formatText(header) : formatBinary(header)
}

function formatText(header: ProxyHeader): Buffer {
  if (header.kind !== 'proxied') return Buffer.from('PROXY UNKNOWN\r\n')
  const { source, destination } = header
  const isMixed = isIpv6(source) || isIpv6(destination)
  const [from, to] = isMixed
    ? [mapped(source), mapped(destination)]
    : [source.address, destination.address]
  return Buffer.from(
    `PROXY ${isMixed ? 'TCP6' : 'TCP4'} ${from} ${to} ${source.port} ${destination.port}\r\n`,
  )
}

function isIpv6({ address }: HostAddress): boolean {
  return address.includes(':')
}

/** Both ends are of one family: IPv4 beside IPv6 is written as what a socket shows it as. */
function mapped({ address }: HostAddress): string {
  return address.includes(':') ? address : `::ffff:${address}`
}

function formatBinary(header: ProxyHeader): Buffer {
  if (header.kind !== 'proxied') {
    const command = header.kind === 'local' ? 0x20 : 0x21
    return Buffer.concat([signature, Buffer.from([command, 0x00, 0, 0])])
  }
  const { source, destination } = header
  const isMixed = isIpv6(source) || isIpv6(destination)
  const hosts = [source, destination].map(({ address }) => hostOctets(address, isMixed))
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(source.port, 0)
  ports.writeUInt16BE(destination.port, 2)
  const addresses = Buffer.concat([...hosts, ports])
  const fixed = Buffer.from([0x21, isMixed ? 0x21 : 0x11, 0, addresses.length])
  return Buffer.concat([signature, fixed, addresses])
}

function hostOctets(address: string, asIpv6: boolean): Buffer {
  if (!address.includes(':')) {
    const octets = Buffer.from(address.split('.').map(Number))
    return asIpv6 ? Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), octets]) : octets
  }
  const [head = '', tail] = address.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0)
  const octets = Buffer.alloc(16)
  for (const [index, group] of [...before, ...zeros, ...after].entries()) {
    octets.writeUInt16BE(group, 2 * index)
  }
  return octets
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}
