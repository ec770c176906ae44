/** The one header line that a relay adds: where a message came from. RFC 5321 4.4. */
import { isAscii } from './path.ts'

export interface Trace {
  /** What the client called itself. */
  readonly hello: string
  /** The client's address, without port; undefined where a proxy would not tell. */
  readonly clientAddress: string | undefined
  /** The name that its address has. */
  readonly clientName: string | undefined
  readonly hostname: string
  readonly transmission: string
  /** Version and cipher; undefined in clear text. */
  readonly tls: { readonly version: string; readonly cipher: string } | undefined
  /** Number of the session, as in the log. */
  readonly id: string
  /** Where there is no other: each would learn of the others. */
  readonly recipient: string | undefined
  readonly date: Date
}

export interface Transmission {
  readonly protocol: 'smtp' | 'lmtp'
  readonly isExtended: boolean
  readonly isSmtpUtf8: boolean
  readonly secure: boolean
}

/** RFC 3848, RFC 6531 4.3. */
export function transmissionOf(session: Transmission): string {
  const { protocol, isExtended, isSmtpUtf8, secure } = session
  if (!isExtended) return 'SMTP'
  const plain = protocol === 'lmtp' ? 'LMTP' : isSmtpUtf8 ? 'SMTP' : 'ESMTP'
  return `${isSmtpUtf8 ? 'UTF8' : ''}${plain}${secure ? 'S' : ''}`
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** A few lines of ASCII, folded, ended by CRLF; none begins with a dot. */
export function formatTrace(trace: Trace): string {
  const { hostname, transmission, id, tls, recipient, date } = trace
  const isTold = recipient !== undefined && isAscii(recipient)
  const by = `\r\n\t${hopOf(hostname)} with ${transmission} id ${id}`
  const using = tls === undefined ? '' : `\r\n\t(using ${tls.version} with cipher ${tls.cipher})`
  const to = isTold ? `\r\n\tfor <${recipient}>` : ''
  const from = `Received: from ${helloName(trace.hello)} (${hostOf(trace)})`
  return `${from}${by}${using}${to};\r\n\t${formatDate(date)}\r\n`
}

/** By what a host knows its own line again. */
export function hopOf(hostname: string): string {
  return `by ${hostname} (mailmux)`
}

function hostOf({ clientAddress: address, clientName: name }: Trace): string {
  if (address === undefined) return 'unknown'
  const literal = address.includes(':') ? `[IPv6:${address}]` : `[${address}]`
  return name === undefined ? literal : `${name} ${literal}`
}

/** What a client says of itself must not be able to write the rest of the line. */
function helloName(hello: string): string {
  return /^[\w.:[\]-]{1,255}$/.test(hello) ? hello : 'unknown'
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** RFC 5322 3.3, in UTC. */
export function formatDate(date: Date): string {
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
  const day = `${days[date.getUTCDay()]}, ${date.getUTCDate()} ${months[date.getUTCMonth()]}`
  return `${day} ${date.getUTCFullYear()} ${time} +0000`
}
