/** The right sides of `user_map` and `popmap`: text → value. */
import { formatAddress, parseAddress } from '../../mail/address.ts'
import type { Verdict } from '../../mail/route.ts'
import { isLoginName, type Value } from '../value.ts'
import { quote, type SourceContext } from './source-context.ts'

export type ParsedValue =
  | { readonly value: Value; readonly warning?: string; readonly hint?: string | undefined }
  | { readonly code: string; readonly refused: string; readonly hint: string | undefined }

type Context = Pick<SourceContext, 'naming' | 'backends' | 'smarthost'>

/** How Postfix writes a server: `smtp:[host]:port`. */
export const transport = /^(?:smtp|esmtp|relay|lmtp)(?::(?:inet:)?)/i
const forms = 'write a back-end, name@back-end, name@domain, error:5.7.1:550 text or defer:text'

function refuse(code: string, refused: string, hint: string | undefined): ParsedValue {
  return { code, refused, hint }
}

/** A value of `user_map`. */
export function parseUserValue(text: string, context: Context): ParsedValue {
  if (/^error:/i.test(text)) return parseVerdict('reject', text.slice(6))
  if (/^defer:/i.test(text)) return parseVerdict('defer', text.slice(6))
  const prefix = transport.exec(text)?.[0]
  if (prefix !== undefined) return parseServer(text.slice(prefix.length), undefined, context)
  if (text === '') return refuse('no-value', 'the key has no value', forms)
  if (/\s/.test(text) || (text.includes(',') && !text.startsWith('"'))) {
    return refuse('bad-value', `${quote(text)} is more than one word`, moreThanOne(text))
  }
  const at = text.lastIndexOf('@')
  if (at === -1) return parseServer(text, undefined, context)
  const server = text.slice(at + 1)
  if (context.backends.has(splitPort(server)?.host ?? '')) {
    return parseServer(server, text.slice(0, at), context)
  }
  return parseForward(text, context)
}

function moreThanOne(text: string): string {
  return text.includes('@') && text.includes(',')
    ? 'several addresses belong into aliases'
    : `a comment needs a line of its own; ${forms}`
}

/** `[user@]server[:port]`, the value of `popmap`. */
export function parseLoginValue(text: string, context: Context): ParsedValue {
  if (text === '') return refuse('no-value', 'the key has no value', 'write [user@]server[:port]')
  if (/\s/.test(text)) {
    return refuse('bad-value', `${quote(text)} is more than one word`, 'write [user@]server[:port]')
  }
  const at = text.lastIndexOf('@')
  const login = at === -1 ? undefined : text.slice(0, at)
  return parseServer(text.slice(at + 1), login, context)
}

function splitPort(text: string): { host: string; port: number | undefined } | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) return undefined
  return { host, port: port === undefined ? undefined : Number(port) }
}

function parseServer(text: string, login: string | undefined, context: Context): ParsedValue {
  const server = splitPort(text)
  if (server === undefined) return refuse('bad-value', `${quote(text)} is no back-end`, forms)
  const found = context.backends.find(server.host, server.port)
  if ('reason' in found) return refuse('unknown-backend', found.reason, found.hint)
  const { backend, portIsOther } = found
  const value = valueAt(backend, login)
  if (value === undefined) {
    return refuse('bad-value', `${quote(login ?? '')} is no name of a user`, forms)
  }
  if (!portIsOther) return { value }
  const warning = `${backend} has no port ${server.port}: the ports of the config are used`
  return { value, warning, hint: `leave the port out, or set it under backends.${backend}` }
}

function valueAt(backend: string, login: string | undefined): Value | undefined {
  if (login === undefined) return { kind: 'backend', backend }
  return isLoginName(login) ? { kind: 'rename', backend, login } : undefined
}

/** An address that is at no back-end: mail goes on to it. */
function parseForward(text: string, context: Context): ParsedValue {
  const address = parseAddress(text, context.naming)
  if (address === undefined) return refuse('bad-value', `${quote(text)} is no address`, forms)
  const written = `${address.local}@${address.domain}`
  if (!context.naming.domains.has(address.domain) && context.smarthost === undefined) {
    const { hint } = { hint: undefined, ...context.backends.find(address.domain) }
    return refuse(
      'no-smarthost',
      `${formatAddress(address.local, address.domain)} is outside: no back-end has that host`,
      `set smarthost in the config to send mail there${hint === undefined ? '' : `; ${hint}`}`,
    )
  }
  return { value: { kind: 'forward', address: written } }
}

const defaults = {
  reject: { code: 550, status: '5.1.1', text: 'No such user' },
  defer: { code: 450, status: '4.2.1', text: 'Mailbox unavailable, try again later' },
} as const satisfies Record<string, Verdict>

/** `[D.S.N][:][code] text`, with what is left out put in. RFC 3463, RFC 5321 4.2. */
export function parseVerdict(kind: 'reject' | 'defer', text: string): ParsedValue {
  const parts = /^\s*(?:(\d\.\d{1,3}\.\d{1,3})(?:[:\s]\s*|$))?(?:(\d{3})(?:\s+|$))?(.*)$/.exec(text)
  const [, status = defaults[kind].status, code, words = ''] = parts ?? []
  const number = code === undefined ? defaults[kind].code : Number(code)
  const first = kind === 'reject' ? '5' : '4'
  if (!status.startsWith(first) || !String(number).startsWith(first)) {
    const example = kind === 'reject' ? '5.7.1:550 text' : '4.2.1:450 text'
    const prefix = kind === 'reject' ? 'error:' : 'defer:'
    const what = `${number} ${status} is no ${kind === 'reject' ? 'refusal' : 'deferral'}`
    return refuse('bad-reply', what, `write ${prefix}${example}`)
  }
  const said = words.trim() === '' ? defaults[kind].text : words.trim()
  if (!/^[\u0020-\u007e]{1,400}$/.test(said)) {
    return refuse('bad-reply', 'the text of a reply is ASCII, of at most 400 characters', undefined)
  }
  return { value: { kind, code: number, status, text: said } }
}
