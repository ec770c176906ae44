/** What each command of a client does to its session. RFC 5321 4.1.1, RFC 2033, RFC 3207. */
import { reply } from '../../mail/reply.ts'
import type { ClientAttributes } from './client-attributes.ts'
import type { FrontEndCore } from './front-end-core.ts'
import { greetingOf, helloReply, replies } from './front-end-replies.ts'
import type { Command } from './grammar.ts'
import { isAscii } from './path.ts'
import { isAsciiRecipient } from './parameters.ts'

export function takeCommand(core: FrontEndCore, command: Command): void {
  switch (command.verb) {
    case 'EHLO':
    case 'LHLO':
    case 'HELO':
      return greet(core, command.verb !== 'HELO', command.domain)
    case 'MAIL':
      return begin(core, command)
    case 'RCPT':
      return recipient(core, command)
    case 'DATA':
      return data(core)
    case 'RSET':
      core.abort()
      core.forwarded = undefined
      core.advance('RSET')
      return core.out.say(replies.ok)
    case 'NOOP':
      return core.out.say(replies.ok)
    case 'VRFY':
      return core.out.say(replies.cannotVerify)
    case 'QUIT':
      core.abort()
      return core.close(replies.bye, 'logout')
    case 'STARTTLS':
      return startTls(core)
    case 'XCLIENT':
    case 'XFORWARD':
      return speakFor(core, command.verb, command.client)
    case 'HOSTILE':
      return core.cutOff(command.refusal, command.reason)
    case 'BAD':
      if (command.reason !== undefined) core.refuse(command.reason)
      return core.bad(command.refusal)
  }
}

function greet(core: FrontEndCore, isExtended: boolean, domain: string): void {
  core.abort()
  core.advance('HELLO')
  core.hello = domain
  core.isExtended = isExtended
  core.out.say(helloReply(core.options, isExtended, core.secure))
}

function begin(core: FrontEndCore, command: Command & { verb: 'MAIL' }): void {
  const { path, sizeBytes, body, smtpUtf8, ret, envelopeId } = command
  if ((sizeBytes ?? 0) > core.options.offers.limitBytes) {
    core.refuse('message_too_big')
    return core.out.say(replies.tooBig)
  }
  if (!core.advance('MAIL')) return
  core.isSmtpUtf8 = smtpUtf8
  const { forwarded } = core
  const sender = { path: path.wire, sizeBytes, body, smtpUtf8, ret, envelopeId }
  core.out.ask({ do: 'begin', sender, forwarded })
  core.out.say(replies.senderOk)
}

function recipient(core: FrontEndCore, command: Command & { verb: 'RCPT' }): void {
  const { path, notify, originalRecipient } = command
  const parameters = { notify, originalRecipient }
  if (!core.advance('RCPT')) return
  const isWide = !isAscii(path.wire) || !isAsciiRecipient(parameters)
  // As a reply in the queue, since recipients before it may wait for theirs.
  if (isWide && !core.isSmtpUtf8) return core.out.say(replies.wideRecipient)
  core.out.ask({ do: 'recipient', path, parameters, slot: core.out.reserve() })
}

function data(core: FrontEndCore): void {
  if (!core.advance('DATA')) return
  if (core.lines.length > 0) return core.refuseEarly(undefined)
  core.dataSlot = core.out.reserve()
  core.mode = 'data-asked'
  core.out.ask({ do: 'data' })
}

function startTls(core: FrontEndCore): void {
  if (core.secure) return core.bad(replies.tlsActive)
  if (!core.options.startTls) return core.bad(replies.notImplemented)
  if (core.lines.length > 0) return core.cutOff(replies.tlsPipelined, 'starttls_pipelined')
  core.abort()
  core.out.say(replies.startTls)
  core.mode = 'tls'
  core.out.ask({ do: 'start-tls' })
}

function speakFor(
  core: FrontEndCore,
  verb: 'XCLIENT' | 'XFORWARD',
  client: ClientAttributes | undefined,
): void {
  if (!core.options.isTrusted) {
    core.refuse('xclient_denied')
    return core.bad(replies.notTrusted)
  }
  if (client === undefined) return core.bad(replies.badAttribute)
  if (!core.advance(verb)) return
  if (verb === 'XFORWARD') {
    core.forwarded = { ...core.forwarded, ...client }
    return core.out.say(replies.ok)
  }
  core.changeClient(client)
  // Back to where a session begins, in the words of its beginning.
  core.out.say(reply(220, '', greetingOf(core.options).slice(4, -2)))
}
