/**
 * A back-end's reply, fit for a client: its code, an enhanced status code that agrees with it
 * (RFC 2034), and text without control octets, without names of the hosts behind us, and short.
 */
import { type Reply, reply } from '../../mail/reply.ts'
import type { RawReply } from './reply-reader.ts'

/** RFC 5321 4.5.3.1.5, with code and CRLF. */
const replyLineBytes = 512
const passedLines = 10
const enhanced = /^([245])\.(\d{1,3})\.(\d{1,3})(?:[ \t]+|$)/

export interface Disguise {
  /** Names and addresses of the back-end, as they may stand in its text. */
  readonly names: readonly string[]
  /** What is said instead. */
  readonly hostname: string
}

/** Replies that are no final verdict of a command (3xx) are not to be given here. */
export function cleanReply(raw: RawReply, disguise: Disguise): Reply {
  const codeClass = String(raw.code)[0] ?? '4'
  let status = ''
  const texts = raw.lines.slice(0, passedLines).map((line) => {
    const [written = '', statusClass, subject, detail] = enhanced.exec(line) ?? []
    if (status === '' && statusClass === codeClass) status = `${statusClass}.${subject}.${detail}`
    return disguised(line.slice(written.length), disguise)
  })
  if (status === '') status = `${codeClass}.0.0`
  const room = replyLineBytes - `${raw.code} ${status} \r\n`.length
  const silent = codeClass === '2' ? 'ok' : 'refused by the back-end'
  return reply(raw.code, status, ...texts.map((text) => text.slice(0, room) || silent))
}

function disguised(text: string, { names, hostname }: Disguise): string {
  let cleaned = (/[^ -~]/.test(text) ? text.replace(/[^ -~]+/g, ' ') : text).trim()
  for (const name of names) {
    // Short names would be found inside ordinary words.
    if (name.length < 4) continue
    cleaned = cleaned.replace(wholeName(name), hostname)
  }
  return cleaned
}

const patterns = new Map<string, RegExp>()
const keptPatterns = 1000

function wholeName(name: string): RegExp {
  let pattern = patterns.get(name)
  if (pattern === undefined) {
    // Names of greetings come from back-ends: their number has a bound here, whatever they say.
    if (patterns.size >= keptPatterns) patterns.clear()
    const escaped = name.replace(/[^A-Za-z0-9]/g, String.raw`\$&`)
    pattern = new RegExp(`(?<![A-Za-z0-9.-])${escaped}(?![A-Za-z0-9-])(?!\\.[A-Za-z0-9])`, 'gi')
    patterns.set(name, pattern)
  }
  return pattern
}
