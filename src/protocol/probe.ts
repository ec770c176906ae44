/**
 * What to say to a back-end to see whether it is there and what it offers, before any login. Lines
 * in, a verdict on each: pure, for every protocol in one form.
 */
import { assertNever } from '../base/never.ts'
import type { BackendProtocol } from '../config/config.ts'

/** What a line of an answer means. */
export type ProbeLine = 'more' | 'done' | 'refused'

export interface ProbeDialogue {
  /** Undefined where the capabilities come unasked: as the greeting, and again once TLS is up. */
  readonly hello: string | undefined
  readonly startTls: string
  readonly quit: string
  greeting(line: string): ProbeLine
  /** A line of the answer to `hello`. */
  offered(line: string): ProbeLine
  /** Capabilities that such a line names. */
  capabilities(line: string): readonly string[]
  startedTls(line: string): ProbeLine
}

/** RFC 9051, RFC 1939 and 2449, RFC 5804, RFC 5321, RFC 2033. */
export function probeDialogue(protocol: BackendProtocol, hostname: string): ProbeDialogue {
  switch (protocol) {
    case 'imap':
      return imap
    case 'pop3':
      return pop3
    case 'sieve':
      return sieve
    case 'smtp':
    case 'submission':
      return smtp(`EHLO ${hostname}`)
    case 'lmtp':
      return smtp(`LHLO ${hostname}`)
    default:
      return assertNever(protocol)
  }
}

/** SASL mechanisms among these capabilities, in capitals. */
export function saslNames(protocol: BackendProtocol, capabilities: readonly string[]): string[] {
  const names = capabilities.flatMap((capability) => {
    const [keyword = '', ...rest] = words(capability.toUpperCase().replaceAll('=', ' '))
    return keyword === (protocol === 'pop3' || protocol === 'sieve' ? 'SASL' : 'AUTH') ? rest : []
  })
  return [...new Set(names)]
}

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}

function tagged(tag: string, line: string): ProbeLine {
  if (line.startsWith('* ') && !line.startsWith('* BYE')) return 'more'
  return line.startsWith(`${tag} OK`) ? 'done' : 'refused'
}

const imap: ProbeDialogue = {
  hello: 'A CAPABILITY',
  startTls: 'B STARTTLS',
  quit: 'C LOGOUT',
  greeting: (line) => (line.startsWith('* OK') ? 'done' : 'refused'),
  offered: (line) => tagged('A', line),
  capabilities: (line) => {
    const [, text] = /^\* CAPABILITY (.*)$/i.exec(line) ?? []
    return text === undefined ? [] : words(text)
  },
  startedTls: (line) => tagged('B', line),
}

const pop3: ProbeDialogue = {
  hello: 'CAPA',
  startTls: 'STLS',
  quit: 'QUIT',
  greeting: (line) => (line.startsWith('+OK') ? 'done' : 'refused'),
  offered: (line) => (line === '.' || line.startsWith('-ERR') ? 'done' : 'more'),
  capabilities: (line) => (/^(?:\+OK|-ERR|\.$)/.test(line) ? [] : [line]),
  startedTls: (line) => (line.startsWith('+OK') ? 'done' : 'refused'),
}

/** A list of capabilities, a line each, and OK. */
function listed(line: string): ProbeLine {
  if (line.startsWith('"')) return 'more'
  return ended(line)
}

function ended(line: string): ProbeLine {
  return /^OK(?: |$)/i.test(line) ? 'done' : 'refused'
}

const sieve: ProbeDialogue = {
  hello: undefined,
  startTls: 'STARTTLS',
  quit: 'LOGOUT',
  greeting: listed,
  offered: listed,
  capabilities: (line) => {
    const [, name, value] = /^"([^"\\]+)"(?: "([^"\\]*)")?$/.exec(line) ?? []
    return name === undefined ? [] : [[name.toUpperCase(), value].filter(Boolean).join(' ')]
  },
  startedTls: ended,
}

function reply(code: string, line: string): ProbeLine {
  if (!line.startsWith(code)) return 'refused'
  return line[3] === '-' ? 'more' : 'done'
}

function smtp(hello: string): ProbeDialogue {
  return {
    hello,
    startTls: 'STARTTLS',
    quit: 'QUIT',
    greeting: (line) => reply('220', line),
    offered: (line) => reply('250', line),
    // The first line is the name of the host; who sends one line alone offers nothing.
    capabilities: (line) => (/^250[ -][A-Z0-9][A-Z0-9-]*(?: |$)/.test(line) ? [line.slice(4)] : []),
    startedTls: (line) => reply('220', line),
  }
}
