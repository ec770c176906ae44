/**
 * Command lines of SMTP and LMTP, bytes to values. RFC 5321 4.1, RFC 2033, RFC 6531.
 *
 * Strict where leniency has been abused: nothing but blanks may stand between verb and path, a quoted
 * local part that hides another address is refused, and what is neither printable ASCII nor a blank is
 * no command, but for the UTF-8 of addresses where SMTPUTF8 is offered. Lines are latin1 strings
 * without their CRLF.
 */
import type { RefusalReason } from '../../base/log.ts'
import { type Reply, reply } from '../../mail/reply.ts'
import { type ClientAttributes, parseAttributes } from './client-attributes.ts'
import type { Offers } from './offers.ts'
import {
  type MailParameters,
  parseMailParameters,
  parseRcptParameters,
  type RcptParameters,
} from './parameters.ts'
import { isAscii, type Path, parsePath } from './path.ts'

/** What is spoken on a listener, and what was offered there. */
export interface Dialect {
  readonly protocol: 'smtp' | 'lmtp'
  readonly offers: Offers
}

export type Command =
  | { readonly verb: 'EHLO' | 'HELO' | 'LHLO'; readonly domain: string }
  | ({ readonly verb: 'MAIL'; readonly path: Path } & MailParameters)
  | ({ readonly verb: 'RCPT'; readonly path: Path } & RcptParameters)
  /** `client`: undefined where it is not written as it should be. */
  | { readonly verb: 'XCLIENT' | 'XFORWARD'; readonly client: ClientAttributes | undefined }
  | { readonly verb: 'DATA' | 'RSET' | 'NOOP' | 'QUIT' | 'STARTTLS' | 'VRFY' }
  | { readonly verb: 'BAD'; readonly refusal: Reply; readonly reason?: RefusalReason }
  /** After this no octet of the client can be trusted to be a command. */
  | { readonly verb: 'HOSTILE'; readonly refusal: Reply; readonly reason: RefusalReason }

const httpRequest = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) /i
const unprintable = /[^\u0020-\u007e\t]/
// oxlint-disable-next-line no-control-regex -- control octets are what is looked for
const control = /[\u0000-\u0008\u000a-\u001f\u007f]/
// Controls, and separators of lines.
const wideControl = /[\u0080-\u009f\u2028\u2029]/
const withAddress = /^(?:MAIL|RCPT)[ \t]/i
const notImplemented = new Set(['AUTH', 'ETRN', 'EXPN', 'HELP', 'SAML', 'SEND', 'SOML', 'TURN'])
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const syntax = {
  unknown: reply(500, '5.5.2', 'command not recognized'),
  notImplemented: reply(502, '5.5.1', 'command not implemented'),
  otherProtocol: reply(500, '5.5.1', 'this is LMTP: send LHLO'),
  control: reply(501, '5.5.2', 'control or 8-bit characters in a command'),
  argument: reply(501, '5.5.4', 'no argument is allowed here'),
  hello: reply(501, '5.5.4', 'a host name is needed, such as EHLO mail.example.com'),
  mail: reply(501, '5.5.4', 'syntax: MAIL FROM:<address>'),
  rcpt: reply(501, '5.5.4', 'syntax: RCPT TO:<address>'),
  sender: reply(501, '5.1.7', 'bad sender address syntax'),
  recipient: reply(501, '5.1.3', 'bad recipient address syntax'),
  hidden: reply(553, '5.1.3', 'an address inside a quoted local part is not accepted'),
  wide: reply(550, '5.6.7', 'an address beyond ASCII needs the parameter SMTPUTF8'),
  web: reply(421, '4.7.0', 'this is not a web server'),
} as const

const unreadable: Command = {
  verb: 'BAD',
  refusal: syntax.control,
  reason: 'ctl_in_command',
}

function bad(refusal: Reply): Command {
  return { verb: 'BAD', refusal }
}

/** Never throws. */
export function parseCommand(octets: string, dialect: Dialect): Command {
  const text = decode(octets, dialect.offers)
  if (text === undefined) return unreadable
  const line = text.trimEnd()
  const wordEnd = skip(line, 0, false)
  const verb = line.slice(0, wordEnd).toUpperCase()
  const rest = line.slice(skip(line, wordEnd, true))
  switch (verb) {
    case 'EHLO':
    case 'HELO':
    case 'LHLO':
      return parseHello(verb, rest, dialect)
    case 'MAIL':
      return parseMail(rest, dialect)
    case 'RCPT':
      return parseRcpt(rest, dialect)
    case 'DATA':
    case 'RSET':
    case 'QUIT':
    case 'STARTTLS':
      return rest === '' ? { verb } : bad(syntax.argument)
    case 'NOOP':
    case 'VRFY':
      return { verb }
    case 'XCLIENT':
    case 'XFORWARD':
      return { verb, client: parseAttributes(verb, rest) }
    case 'BDAT':
      // Not offered: what follows is a message, which would be taken for commands.
      return { verb: 'HOSTILE', refusal: syntax.notImplemented, reason: 'bdat_unadvertised' }
    default:
      // Someone makes a browser talk to us.
      if (httpRequest.test(line))
        return { verb: 'HOSTILE', refusal: syntax.web, reason: 'http_on_smtp' }
      return bad(notImplemented.has(verb) ? syntax.notImplemented : syntax.unknown)
  }
}

/** Behind the blanks at `at`, or behind what is none. */
function skip(line: string, at: number, isOverBlanks: boolean): number {
  let end = at
  while (end < line.length && (line[end] === ' ' || line[end] === '\t') === isOverBlanks) end++
  return end
}

/** The text of a line; undefined where its octets are none. */
function decode(octets: string, { smtpUtf8 }: Offers): string | undefined {
  if (!unprintable.test(octets)) return octets
  if (!smtpUtf8 || control.test(octets) || !withAddress.test(octets)) return undefined
  try {
    const text = utf8.decode(Buffer.from(octets, 'latin1'))
    return wideControl.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

function parseHello(
  verb: 'EHLO' | 'HELO' | 'LHLO',
  domain: string,
  { protocol }: Dialect,
): Command {
  const isOther = (verb === 'LHLO') !== (protocol === 'lmtp')
  if (isOther) return bad(protocol === 'lmtp' ? syntax.otherProtocol : syntax.unknown)
  // Anything without a blank: literals and underscores are common, and nothing hangs on it.
  return /^[^ \t]{1,255}$/.test(domain) ? { verb, domain } : bad(syntax.hello)
}

function parseMail(rest: string, { offers }: Dialect): Command {
  const [, written] = /^FROM:[ \t]*(<.*)$/i.exec(rest) ?? []
  if (written === undefined) return bad(syntax.mail)
  const found = parsePath(written)
  if (found === undefined) return bad(syntax.sender)
  const { path, rest: parameters } = found
  // A sender always has a domain, or there is none at all.
  if (path.wire !== '' && path.domain === '') return bad(syntax.sender)
  const read = parseMailParameters(parameters, offers)
  if ('refusal' in read) return bad(read.refusal)
  return read.smtpUtf8 || isAscii(path.wire) ? { ...read, verb: 'MAIL', path } : bad(syntax.wide)
}

function parseRcpt(rest: string, { offers }: Dialect): Command {
  const [, written] = /^TO:[ \t]*(<.*)$/i.exec(rest) ?? []
  if (written === undefined) return bad(syntax.rcpt)
  const found = parsePath(written)
  if (found === undefined || found.path.wire === '') return bad(syntax.recipient)
  const { path } = found
  if (path.wire.startsWith('"') && /[@%]/.test(path.local)) return bad(syntax.hidden)
  if (path.domain === '' && path.local.toLowerCase() !== 'postmaster') return bad(syntax.recipient)
  const read = parseRcptParameters(found.rest, offers)
  return 'refusal' in read ? bad(read.refusal) : { ...read, verb: 'RCPT', path }
}
