/**
 * The lines of `popmap` that stand for many logins: `*@domain` in any file, and in files whose name
 * ends in `.re` POSIX extended expressions with $1 to $9 in the name to use at the back-end.
 */
import { messageOf } from '../../base/error.ts'
import { formatPosition, type Position } from '../../base/position.ts'
import { canonicalDomain } from '../../mail/domain.ts'
import { isPatternKey } from '../key.ts'
import { compilePattern, type PatternSource } from '../rule.ts'
import type { PatternLine } from './keyed-lines.ts'
import { parseLoginValue } from './parse-value.ts'
import { forEachLine } from './read-lines.ts'
import { positionIn, quote, type SourceContext, type SourceFile } from './source-context.ts'

export class PatternReader {
  readonly patterns: PatternSource[] = []
  readonly #context: SourceContext
  /** Where each expression stands first. */
  readonly #first = new Map<string, Position>()

  constructor(context: SourceContext) {
    this.#context = context
  }

  /** Takes a line of an ordinary popmap whose key is `*@domain`; true where it is one. */
  takeWildcard(line: PatternLine): boolean {
    if (!isPatternKey(line.key)) return false
    this.#add(line, line.key)
    return true
  }

  /** Reads a `.re` file. */
  readFile(file: SourceFile): Promise<void> {
    return forEachLine(file, this.#context, (text, line) => {
      if (/^\s*(?:#|$)/.test(text)) return
      const [, key, value] = /^(\S|\S.*?\S)\s*:?\s+(\S+)\s*$/su.exec(text) ?? []
      if (key === undefined || value === undefined) {
        this.#context.problems.error(
          'no-value',
          positionIn(file, line),
          `${quote(text)} has no value`,
          'write expression: [user@]server[:port], with a blank before the server',
        )
        return
      }
      this.#add({ key: key.replace(/:$/, ''), value, file, line }, text.trim())
    })
  }

  #add({ key, value, file, line }: PatternLine, text: string): void {
    const { problems } = this.#context
    const at = positionIn(file, line)
    const pattern = isPatternKey(key) ? this.#domainPattern(key.slice(2)) : key
    if (pattern === undefined) {
      const what = `${quote(key)} names no domain of ours`
      problems.error('bad-key', at, what, 'write *@domain with one of domains in the config')
      return
    }
    const parsed = parseLoginValue(value, this.#context)
    if ('refused' in parsed) {
      const isVariable = value.slice(value.lastIndexOf('@')).includes('$')
      const hint = isVariable
        ? 'the back-end must be named: $1 works before the @ only'
        : parsed.hint
      problems.error(parsed.code, at, parsed.refused, hint)
      return
    }
    if (parsed.value.kind !== 'backend' && parsed.value.kind !== 'rename') return
    const login = parsed.value.kind === 'rename' ? parsed.value.login : undefined
    const source: PatternSource = { pattern, backend: parsed.value.backend, login, at, text }
    if (!this.#isUsable(source)) return
    const before = this.#first.get(pattern)
    if (before === undefined) this.#first.set(pattern, at)
    else {
      const what = `the pattern can never match: it stands before (${formatPosition(before)})`
      problems.warn('unreachable-pattern', at, what, 'remove one of the two')
    }
    this.patterns.push(source)
  }

  #domainPattern(text: string): string | undefined {
    const domain = canonicalDomain(text)
    if (domain === undefined || !this.#context.naming.domains.has(domain)) return undefined
    return `@${domain.replaceAll('.', String.raw`\.`)}$`
  }

  #isUsable(source: PatternSource): boolean {
    const { problems } = this.#context
    const [collating] = /\[[^\]]*\[[.=]/.exec(source.pattern) ?? []
    if (collating !== undefined) {
      const what = 'the expression is not supported: letters that sort alike, [.a.] or [=a=]'
      problems.error('bad-pattern', source.at, what, 'name each letter')
      return false
    }
    if (source.login?.includes('$0') === true) {
      const what = '$0 stands for nothing'
      problems.error('bad-pattern', source.at, what, 'put what is meant into parentheses: $1 to $9')
      return false
    }
    try {
      const highest = Math.max(
        0,
        ...(source.login ?? '').matchAll(/\$([1-9])/g).map(([, n]) => Number(n)),
      )
      if (highest <= compilePattern(source).groupCount) return true
      const what = `$${highest} is used, but the expression has fewer groups`
      problems.error('bad-pattern', source.at, what, 'put what is meant into parentheses')
    } catch (error) {
      const what = `the expression is not supported: ${messageOf(error)}`
      problems.error('bad-pattern', source.at, what, 'no look-around and no back-references')
    }
    return false
  }
}
