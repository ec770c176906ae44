/** The right side of an alias: its targets with their places. Sendmail aliases(5). */
import type { Position } from '../../base/position.ts'
import { parseAddress } from '../../mail/address.ts'
import { unquote } from './line-grammar.ts'
import { quote, type SourceContext } from './source-context.ts'

export interface Target {
  /** `local@domain` as it was written, or a canonical bare name. */
  readonly text: string
  readonly at: Position
}

export type ParsedTarget =
  | { readonly target: string }
  | { readonly include: string }
  | { readonly code: string; readonly refused: string; readonly hint: string }

export type TargetContext = Pick<SourceContext, 'naming' | 'backends' | 'smarthost'>

export function parseTarget(written: string, context: TargetContext): ParsedTarget {
  const text = unquote(written)
  const include = /^:include:\s*(.+)$/i.exec(text)?.[1]
  if (include !== undefined) return { include }
  if (text.startsWith('|')) {
    return refuse('program-target', `${quote(text)} runs a program`, noHome('runs no programs'))
  }
  if (text.startsWith('/')) {
    return refuse('file-target', `${quote(text)} is a file`, noHome('keeps no mailboxes'))
  }
  if (text.startsWith(':')) {
    return refuse('bad-target', `${quote(text)} is not supported`, 'write reject or defer in rules')
  }
  return parseMember(text.replace(/^\\/, ''), written, context)
}

function noHome(reason: string): string {
  return `a front end ${reason}: let a user on a back-end have the mail`
}

function refuse(code: string, refused: string, hint: string): ParsedTarget {
  return { code, refused, hint }
}

function parseMember(text: string, written: string, context: TargetContext): ParsedTarget {
  const { naming, backends, smarthost } = context
  const isQuoted = written.startsWith('"')
  const address = parseAddress(text, naming)
  if (address === undefined || (!isQuoted && /[\s<>()]/.test(text))) {
    return refuse('bad-target', `${quote(text)} is no address`, 'write name or name@domain')
  }
  const { user, detail, local, domain } = address
  if (!text.includes('@')) {
    const tail = detail === undefined ? '' : naming.recipientDelimiter + detail
    return { target: user + tail }
  }
  if (naming.domains.has(domain)) return { target: `${local}@${domain}` }
  if (backends.has(domain)) {
    const hint = 'name the user here, and the back-end in user_map'
    return refuse('backend-target', `${quote(text)} names a back-end`, hint)
  }
  if (smarthost === undefined) {
    const hint = 'set smarthost in the config, or write an address of ours'
    return refuse('no-smarthost', `${quote(text)} is outside`, hint)
  }
  return { target: `${local}@${domain}` }
}
