/** The one header line that a relay adds: where a message came from. RFC 5321 4.4. */

export interface Trace {
  /** What the client called itself. */
  readonly hello: string
  /** The client's address, without port. */
  readonly clientAddress: string
  readonly hostname: string
  /** SMTP, ESMTP or ESMTPS; RFC 3848. */
  readonly transmission: 'SMTP' | 'ESMTP' | 'ESMTPS'
  /** Number of the session, as in the log. */
  readonly id: string
  readonly date: Date
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Three lines, folded, ended by CRLF; none begins with a dot. */
export function formatTrace(trace: Trace): string {
  const { clientAddress: address } = trace
  const literal = address.includes(':') ? `[IPv6:${address}]` : `[${address}]`
  return (
    `Received: from ${helloName(trace.hello)} (${literal})\r\n` +
    `\tby ${trace.hostname} (mailmux) with ${trace.transmission} id ${trace.id};\r\n` +
    `\t${formatDate(trace.date)}\r\n`
  )
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
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')
  const day = `${days[date.getUTCDay()]}, ${date.getUTCDate()} ${months[date.getUTCMonth()]}`
  return `${day} ${date.getUTCFullYear()} ${time} +0000`
}
