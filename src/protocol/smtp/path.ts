/**
 * The paths of MAIL and RCPT. RFC 5321 4.1.2, RFC 6531 3.3.
 *
 * Source routes are dropped (RFC 5321 appendix C), `%` and `!` have no meaning.
 */
import { localPartBytes } from '../../mail/address.ts'

/** The inside of `<…>`, source route cut off, local part unquoted. */
export interface Path {
  readonly local: string
  /** As written: a domain, `[literal]`, or '' for `<postmaster>`. */
  readonly domain: string
  /** `local@domain` as the client wrote it, without route; '' for the null path. */
  readonly wire: string
}

// Atom; Quoted-string; sub-domain, with "_" that real hosts have, and literals.
const wide = String.raw`\u{a0}-\u{10ffff}`
const atext = `[A-Za-z0-9!#$%&'*+/=?^_\`{|}~${wide}-]+`
const dotString = new RegExp(`^${atext}(?:\\.${atext})*`, 'u')
const quotedString = new RegExp(String.raw`^"(?:[ !#-[\]-~${wide}]|\\[ -~])*"`, 'u')
const label = `[A-Za-z0-9_${wide}](?:[A-Za-z0-9_${wide}-]*[A-Za-z0-9_${wide}])?`
const domainName = new RegExp(String.raw`^${label}(?:\.${label})*\.?`, 'u')
const literal = /^\[(?:IPv6:[0-9A-Fa-f:.]+|\d{1,3}(?:\.\d{1,3}){3})\]/i
const sourceRoute = /^@[^@:,<>" ]+(?:,@[^@:,<>" ]+)*:/

/** RFC 5321 4.5.3.1.2, in octets; the path as a whole is bounded by the command line. */
const domainBytes = 255
const labelBytes = 63
const longLabel = /[^.]{64}/
const nullPath: Path = { local: '', domain: '', wire: '' }

interface Read {
  readonly path: Path
  /** What follows it after one blank. */
  readonly rest: string
}

/** `<…>` at the start of the text. */
export function parsePath(text: string): Read | undefined {
  let at = 1
  if (text[at] === '>') return follow(nullPath, text, at)
  if (text[at] === '@') at += sourceRoute.exec(text.slice(at))?.[0].length ?? 0
  const start = at
  const [written] = (text[at] === '"' ? quotedString : dotString).exec(text.slice(at)) ?? []
  if (written === undefined) return undefined
  const local = written.startsWith('"') ? unquote(written) : written
  if (local.trim() === '' || Buffer.byteLength(local) > localPartBytes) return undefined
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

/** It can be written without SMTPUTF8. */
export function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  return /^[\u0000-\u007f]*$/.test(text)
}

/** The path must be closed at `at`, and only a blank may follow. */
function follow(path: Path, text: string, at: number): Read | undefined {
  if (text[at] !== '>') return undefined
  const rest = text.slice(at + 1)
  if (rest === '') return { path, rest }
  return /^[ \t]/.test(rest) ? { path, rest: rest.trim() } : undefined
}

function unquote(written: string): string {
  return written.slice(1, -1).replace(/\\(.)/gu, '$1')
}

function hasAllowedLengths(domain: string): boolean {
  const bytes = Buffer.byteLength(domain)
  return bytes <= labelBytes || (bytes <= domainBytes && !longLabel.test(domain))
}
