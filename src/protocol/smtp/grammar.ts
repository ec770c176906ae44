/**
 * Command lines of SMTP, bytes to values. RFC 5321 4.1, RFC 1870 (SIZE), RFC 6152 (8BITMIME).
 *
 * Strict where leniency has been abused: nothing but blanks may stand between verb and path, source
 * routes are dropped (RFC 5321 appendix C), `%` and `!` have no meaning, a quoted local part that
 * hides another address is refused, and what is neither printable ASCII nor a blank is no command.
 * Lines are latin1 strings without their CRLF.
 */
import type { RefusalReason } from '../../base/log.ts'
import { type Reply, reply } from '../../mail/reply.ts'

/** The inside of `<…>`, source route cut off, local part unquoted. */
export interface Path {
  readonly local: string
  /** As written: a domain, `[literal]`, or '' for `<postmaster>`. */
  readonly domain: string
  /** `local@domain` as the client wrote it, without route; '' for the null path. */
  readonly wire: string
}

export type BodyType = '7BIT' | '8BITMIME'

export interface MailParameters {
  readonly sizeBytes: number | undefined
  readonly body: BodyType | undefined
}

export type Command =
  | { readonly verb: 'EHLO' | 'HELO'; readonly domain: string }
  | ({ readonly verb: 'MAIL'; readonly path: Path } & MailParameters)
  | { readonly verb: 'RCPT'; readonly path: Path }
  | { readonly verb: 'DATA' | 'RSET' | 'NOOP' | 'QUIT' | 'STARTTLS' | 'VRFY' }
  | { readonly verb: 'BAD'; readonly refusal: Reply; readonly reason?: RefusalReason }
  /** After this no octet of the client can be trusted to be a command. */
  | { readonly verb: 'HOSTILE'; readonly refusal: Reply; readonly reason: RefusalReason }

const httpRequest = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) /i
// oxlint-disable-next-line no-control-regex -- control octets are what is looked for
const unprintable = /[^\u0020-\u007e\t]/
const notImplemented = new Set(['AUTH', 'ETRN', 'EXPN', 'HELP', 'SAML', 'SEND', 'SOML', 'TURN'])

const syntax = {
  unknown: reply(500, '5.5.2', 'command not recognized'),
  notImplemented: reply(502, '5.5.1', 'command not implemented'),
  control: reply(501, '5.5.2', 'control or 8-bit characters in a command'),
  argument: reply(501, '5.5.4', 'no argument is allowed here'),
  hello: reply(501, '5.5.4', 'a host name is needed, such as EHLO mail.example.com'),
  mail: reply(501, '5.5.4', 'syntax: MAIL FROM:<address>'),
  rcpt: reply(501, '5.5.4', 'syntax: RCPT TO:<address>'),
  sender: reply(501, '5.1.7', 'bad sender address syntax'),
  recipient: reply(501, '5.1.3', 'bad recipient address syntax'),
  hidden: reply(553, '5.1.3', 'an address inside a quoted local part is not accepted'),
  parameter: reply(501, '5.5.4', 'bad parameter value'),
  repeated: reply(501, '5.5.4', 'parameter given twice'),
  web: reply(421, '4.7.0', 'this is not a web server'),
  unsupported: reply(555, '5.5.4', 'parameter not recognized or not offered'),
} as const

function bad(refusal: Reply): Command {
  return { verb: 'BAD', refusal }
}

/** Never throws. */
export function parseCommand(line: string): Command {
  if (unprintable.test(line)) {
    return { verb: 'BAD', refusal: syntax.control, reason: 'ctl_in_command' }
  }
  // Someone makes a browser talk to us.
  if (httpRequest.test(line))
    return { verb: 'HOSTILE', refusal: syntax.web, reason: 'http_on_smtp' }
  const [, word = '', rest = ''] = /^([^ \t]*)[ \t]*(.*)$/.exec(line.trimEnd()) ?? []
  const verb = word.toUpperCase()
  switch (verb) {
    case 'EHLO':
    case 'HELO':
      // Anything without a blank: literals and underscores are common, and nothing hangs on it.
      return /^[^ \t]{1,255}$/.test(rest) ? { verb, domain: rest } : bad(syntax.hello)
    case 'MAIL':
      return parseMail(rest)
    case 'RCPT':
      return parseRcpt(rest)
    case 'DATA':
    case 'RSET':
    case 'QUIT':
    case 'STARTTLS':
      return rest === '' ? { verb } : bad(syntax.argument)
    case 'NOOP':
    case 'VRFY':
      return { verb }
    case 'BDAT':
      // Not offered: what follows is a message, which would be taken for commands.
      return { verb: 'HOSTILE', refusal: syntax.notImplemented, reason: 'bdat_unadvertised' }
    default:
      return bad(notImplemented.has(verb) ? syntax.notImplemented : syntax.unknown)
  }
}

function parseMail(rest: string): Command {
  const [, written] = /^FROM:[ \t]*(<.*)$/i.exec(rest) ?? []
  if (written === undefined) return bad(syntax.mail)
  const found = parsePath(written)
  if (found === undefined) return bad(syntax.sender)
  const { path, rest: parameters } = found
  // A sender always has a domain, or there is none at all.
  if (path.wire !== '' && path.domain === '') return bad(syntax.sender)
  const read = parseParameters(parameters)
  return 'refusal' in read ? bad(read.refusal) : { verb: 'MAIL', path, ...read }
}

function parseRcpt(rest: string): Command {
  const [, written] = /^TO:[ \t]*(<.*)$/i.exec(rest) ?? []
  if (written === undefined) return bad(syntax.rcpt)
  const found = parsePath(written)
  if (found === undefined || found.path.wire === '') return bad(syntax.recipient)
  const { path } = found
  if (path.wire.startsWith('"') && /[@%]/.test(path.local)) return bad(syntax.hidden)
  if (path.domain === '' && path.local.toLowerCase() !== 'postmaster') return bad(syntax.recipient)
  return found.rest === '' ? { verb: 'RCPT', path } : bad(syntax.unsupported)
}

// RFC 5321 4.1.2: Atom; Quoted-string; sub-domain, with "_" that real hosts have, and literals.
const dotString = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*/
const quotedString = /^"(?:[ !#-[\]-~]|\\[ -~])*"/
const domainName =
  /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?/
const literal = /^\[(?:IPv6:[0-9A-Fa-f:.]+|\d{1,3}(?:\.\d{1,3}){3})\]/i
const sourceRoute = /^@[^@:,<>" ]+(?:,@[^@:,<>" ]+)*:/

/** RFC 5321 4.5.3.1.1 and .2; the path as a whole is bounded by the command line. */
const localBytes = 64
const domainBytes = 255
const longLabel = /[^.]{64}/

/** `<…>` at the start of the text, and what follows it after one blank. */
function parsePath(text: string): { path: Path; rest: string } | undefined {
  let at = 1
  if (text[at] === '>') return follow({ local: '', domain: '', wire: '' }, text, at)
  at += sourceRoute.exec(text.slice(at))?.[0].length ?? 0
  const start = at
  const [written] = (text[at] === '"' ? quotedString : dotString).exec(text.slice(at)) ?? []
  if (written === undefined) return undefined
  const local = written.startsWith('"') ? unquote(written) : written
  if (local.trim() === '' || local.length > localBytes) return undefined
  at += written.length
  let domain = ''
  if (text[at] === '@') {
    const after = text.slice(at + 1)
    const [name] = domainName.exec(after) ?? literal.exec(after) ?? []
    if (name === undefined || !hasAllowedLengths(name)) return undefined
    domain = name
    at += 1 + name.length
  }
  return follow({ local, domain, wire: text.slice(start, at) }, text, at)
}

/** The path must be closed at `at`, and only a blank may follow. */
function follow(path: Path, text: string, at: number): { path: Path; rest: string } | undefined {
  const rest = text.slice(at + 1)
  return text[at] === '>' && /^(?:$|[ \t])/.test(rest) ? { path, rest: rest.trim() } : undefined
}

function unquote(written: string): string {
  return written.slice(1, -1).replace(/\\(.)/g, '$1')
}

function hasAllowedLengths(domain: string): boolean {
  return domain.length <= domainBytes && !longLabel.test(domain)
}

function parseParameters(text: string): MailParameters | { refusal: Reply } {
  let sizeBytes: number | undefined
  let body: BodyType | undefined
  for (const parameter of text === '' ? [] : text.split(/[ \t]+/)) {
    const [name = '', value] = parameter.toUpperCase().split('=', 2)
    if (name === 'SIZE') {
      if (sizeBytes !== undefined) return { refusal: syntax.repeated }
      // RFC 1870: up to 20 digits; beyond 2^53 only "too big" is left to say.
      if (value === undefined || !/^\d{1,20}$/.test(value)) return { refusal: syntax.parameter }
      sizeBytes = Number(value)
    } else if (name === 'BODY') {
      if (body !== undefined) return { refusal: syntax.repeated }
      if (value === 'BINARYMIME') return { refusal: syntax.unsupported }
      if (value !== '7BIT' && value !== '8BITMIME') return { refusal: syntax.parameter }
      body = value
    } else return { refusal: syntax.unsupported }
  }
  return { sizeBytes, body }
}
