/** An SMTP reply: code, enhanced status code, text. RFC 5321 4.2, RFC 2034, RFC 3463. */
export interface Reply {
  readonly code: number
  /** Enhanced status code such as `5.1.1`; '' where the reply has none (greeting, EHLO, 354). */
  readonly status: string
  /** One line's text each, without CR, LF or control bytes. At least one. */
  readonly lines: readonly string[]
}

export function reply(code: number, status: string, ...lines: readonly string[]): Reply {
  return { code, status, lines }
}

/** The wire form, every line ended by CRLF. */
export function formatReply({ code, status, lines }: Reply): string {
  const prefix = status === '' ? '' : `${status} `
  let text = ''
  for (const [index, line] of lines.entries()) {
    text += `${code}${index === lines.length - 1 ? ' ' : '-'}${prefix}${line}\r\n`
  }
  return text
}

export type ReplyClass = 'success' | 'intermediate' | 'temporary' | 'permanent'

export function classOf({ code }: Pick<Reply, 'code'>): ReplyClass {
  if (code < 300) return 'success'
  if (code < 400) return 'intermediate'
  return code < 500 ? 'temporary' : 'permanent'
}
