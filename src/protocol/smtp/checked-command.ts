/**
 * Commands of a client that has logged in, on their way to its back-end: which of them say who sends,
 * and which we answer ourselves. What is passed on is what the client wrote, in a form in which no
 * back-end can read anything else than we did. Lines are latin1 strings without their CRLF.
 */
import type { RefusalReason } from '../../base/log.ts'
import { type Reply, reply } from '../../mail/reply.ts'
import { replies } from './front-end-replies.ts'
import { type Path, parsePath } from './path.ts'

export type CheckedCommand =
  /** `text`: to be passed on with its line end where the sender may be named. */
  | { readonly verb: 'MAIL'; readonly path: Path; readonly text: string }
  | { readonly verb: 'RCPT' | 'DATA' | 'QUIT' | 'other'; readonly text: string }
  | { readonly verb: 'EHLO' | 'HELO' }
  | { readonly verb: 'BAD'; readonly refusal: Reply; readonly reason?: RefusalReason }
  | { readonly verb: 'HOSTILE'; readonly refusal: Reply; readonly reason: RefusalReason }

/** They have no payload, and what they say of a sender is nothing. */
const passed = new Set(['RSET', 'NOOP', 'VRFY', 'EXPN', 'HELP'])
const withoutArgument = new Set(['DATA', 'QUIT', 'RSET'])
const withAddress = new Set(['MAIL', 'RCPT'])

// oxlint-disable-next-line no-control-regex -- control octets are what is looked for
const control = /[\u0000-\u0008\u000a-\u001f\u007f]/
// RFC 5321 4.1.2, RFC 6531 3.3; of which there may be none.
const parameterList = /^(?:[A-Za-z0-9][A-Za-z0-9-]*(?:=[!-~\u{a0}-\u{10ffff}]+)?(?:[ \t]+|$))*$/u
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const refusals = {
  unknown: reply(500, '5.5.2', 'command not recognized'),
  control: reply(501, '5.5.2', 'control or 8-bit characters in a command'),
  argument: reply(501, '5.5.4', 'no argument is allowed here'),
  mail: reply(501, '5.5.4', 'syntax: MAIL FROM:<address>'),
  parameters: reply(501, '5.5.4', 'bad parameter syntax'),
  sender: reply(501, '5.1.7', 'bad sender address syntax'),
  loggedIn: reply(503, '5.5.1', 'you have logged in already'),
} as const

function bad(refusal: Reply, reason?: RefusalReason): CheckedCommand {
  return { verb: 'BAD', refusal, ...(reason === undefined ? {} : { reason }) }
}

/** Never throws. */
export function parseChecked(line: string): CheckedCommand {
  const [, word = '', rest = ''] = /^([^ \t]*)[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
  const verb = word.toUpperCase()
  const isWide = /[\u0080-\u00ff]/.test(line)
  if (control.test(line) || (isWide && !withAddress.has(verb))) {
    return bad(refusals.control, 'ctl_in_command')
  }
  if (withoutArgument.has(verb) && rest !== '') return bad(refusals.argument)
  if (verb === 'MAIL') return parseMail(rest)
  const text = rest === '' ? verb : `${verb} ${rest}`
  if (verb === 'RCPT' || verb === 'DATA' || verb === 'QUIT') return { verb, text }
  if (passed.has(verb)) return { verb: 'other', text }
  return parseOwn(verb)
}

/** What goes to no back-end as it is. */
function parseOwn(verb: string): CheckedCommand {
  switch (verb) {
    case 'EHLO':
    case 'HELO':
      return { verb }
    case 'AUTH':
      return bad(refusals.loggedIn)
    case 'STARTTLS':
      return bad(replies.tlsActive)
    case 'BDAT':
      // Not offered: what follows is a message, which would be taken for commands.
      return { verb: 'HOSTILE', refusal: replies.notImplemented, reason: 'bdat_unadvertised' }
    default:
      return bad(refusals.unknown)
  }
}

/** Written anew: the path as we have read it, and what follows it as it came. */
function parseMail(octets: string): CheckedCommand {
  const text = decode(octets)
  if (text === undefined) return bad(refusals.control, 'ctl_in_command')
  const [, written] = /^FROM:[ \t]*(<.*)$/i.exec(text) ?? []
  if (written === undefined) return bad(refusals.mail)
  const found = parsePath(written)
  if (found === undefined) return bad(refusals.sender)
  const { path, rest } = found
  if (!parameterList.test(rest)) return bad(refusals.parameters)
  const parameters = rest === '' ? '' : ` ${rest}`
  const command = Buffer.from(`MAIL FROM:<${path.wire}>${parameters}`, 'utf8').toString('latin1')
  return { verb: 'MAIL', path, text: command }
}

function decode(octets: string): string | undefined {
  try {
    return utf8.decode(Buffer.from(octets, 'latin1'))
  } catch {
    return undefined
  }
}
