/** The file `rules`: `MATCH  DESTINATION` a line, the first match wins. */
import { messageOf } from '../../base/error.ts'
import { formatPosition } from '../../base/position.ts'
import { canonicalLocal } from '../../mail/address.ts'
import { canonicalDomain } from '../../mail/domain.ts'
import type { Share } from '../rendezvous.ts'
import { compileRule, type Destination, type Match, type RuleSource } from '../rule.ts'
import { parseVerdict } from './parse-value.ts'
import { forEachLine } from './read-lines.ts'
import { whyUnreachable } from './rule-reach.ts'
import { positionIn, quote, type SourceContext, type SourceFile } from './source-context.ts'

type Parsed<What> =
  | What
  | { readonly code: string; readonly refused: string; readonly hint: string }

const matchForms = 'write a-k, /expression/, *.sales@example.com, @example.net or *'
const destinationForms = 'write a back-end, hash(a*2, b), reject 5.1.1 "text" or defer "text"'

export class RuleReader {
  readonly rules: RuleSource[] = []
  readonly #context: SourceContext

  constructor(context: SourceContext) {
    this.#context = context
  }

  readFile(file: SourceFile): Promise<void> {
    return forEachLine(file, this.#context, (text, line) => {
      if (!/^\s*(?:#|$)/.test(text)) this.#takeLine(text.trimEnd(), file, line)
    })
  }

  #takeLine(text: string, file: SourceFile, line: number): void {
    const { problems, naming } = this.#context
    const at = positionIn(file, line)
    const [, matchText, blanks = '', rest] =
      /^(\/(?:[^/\\]|\\.)*\/|\S+)(\s+)(.+)$/su.exec(text) ?? []
    if (matchText === undefined || rest === undefined) {
      const hint = /^\s/.test(text) ? 'a rule begins in the first column' : destinationForms
      problems.error('bad-rule', at, `${quote(text)} is no rule`, hint)
      return
    }
    const destinationAt = positionIn(file, line, matchText.length + blanks.length + 1)
    const match = parseMatch(matchText, naming.foldCase)
    if ('refused' in match) problems.error(match.code, at, match.refused, match.hint)
    const destination = this.#parseDestination(rest)
    if ('refused' in destination) {
      problems.error(destination.code, destinationAt, destination.refused, destination.hint)
    }
    if ('refused' in match || 'refused' in destination) return
    const rule: RuleSource = { match, destination, at, text }
    if (!this.#compiles(rule)) return
    const reason = whyUnreachable(rule, this.rules, naming)
    if (reason !== undefined) {
      const before = reason.by === undefined ? '' : ` (${formatPosition(reason.by.at)})`
      const what = `the rule can never match: ${reason.what}${before}`
      problems.warn('unreachable-rule', at, what, 'remove it, or put it before the other')
    }
    this.rules.push(rule)
  }

  #compiles(rule: RuleSource): boolean {
    try {
      compileRule(rule)
      return true
    } catch (error) {
      const what = `the expression is not supported: ${messageOf(error)}`
      const hint = 'no look-around and no back-references: they could stall a daemon'
      this.#context.problems.error('bad-pattern', rule.at, what, hint)
      return false
    }
  }

  #parseDestination(text: string): Parsed<Destination> {
    const [, verb, words = ''] = /^(reject|defer)(?:\s+(.*))?$/su.exec(text) ?? []
    if (verb === 'reject' || verb === 'defer') return parseVerdictWords(verb, words)
    const inner = /^hash\s*\((.*)\)$/su.exec(text)?.[1]
    if (inner !== undefined) return this.#parseShares(inner)
    if (/\s/.test(text)) {
      return refuse('bad-destination', `${quote(text)} is more than one word`, destinationForms)
    }
    return this.#parseBackend(text)
  }

  #parseBackend(text: string): Parsed<{ readonly kind: 'backend'; readonly backend: string }> {
    const found = this.#context.backends.find(text)
    if ('backend' in found) return { kind: 'backend', backend: found.backend }
    return refuse('unknown-backend', found.reason, found.hint ?? destinationForms)
  }

  #parseShares(text: string): Parsed<Destination> {
    const shares: Share[] = []
    for (const part of text.split(',')) {
      const [, name, weight = '1'] =
        /^\s*([^\s*]+)\s*(?:\*\s*(\d+(?:\.\d+)?))?\s*$/.exec(part) ?? []
      if (name === undefined || Number(weight) === 0) {
        return refuse(
          'bad-destination',
          `${quote(part)} is no share`,
          'write hash(fritz*2, ingrid)',
        )
      }
      const found = this.#parseBackend(name)
      if ('refused' in found) return found
      if (shares.some(({ backend }) => backend === found.backend)) {
        return refuse('bad-destination', `${name} stands twice`, 'add the weights: hash(fritz*2)')
      }
      shares.push({ backend: found.backend, weight: Number(weight) })
    }
    return { kind: 'hash', shares }
  }
}

function refuse(code: string, refused: string, hint: string) {
  return { code, refused, hint }
}

function parseVerdictWords(verb: 'reject' | 'defer', words: string): Parsed<Destination> {
  const [, head = '', quoted, plain = ''] =
    /^((?:\d\.\d+\.\d+\s*)?(?:\d{3}(?=\s|$)\s*)?)(?:"([^"]*)"|([^"]*))$/su.exec(words) ?? []
  const parsed = parseVerdict(verb, `${head} ${quoted ?? plain}`.trim())
  if ('refused' in parsed) return refuse(parsed.code, parsed.refused, destinationForms)
  const { value } = parsed
  return value.kind === 'reject' || value.kind === 'defer'
    ? value
    : refuse('bad-destination', `${quote(words)} is no reply`, destinationForms)
}

/** What a rule applies to, as it stands at the beginning of its line. */
export function parseMatch(text: string, foldCase: boolean): Parsed<Match> {
  if (text === '*') return { kind: 'any' }
  const regex = /^\/(.*)\/$/su.exec(text)?.[1]
  if (regex === '') return refuse('bad-match', 'the expression is empty', 'write * for anybody')
  if (regex !== undefined) return { kind: 'regex', pattern: regex.replaceAll(String.raw`\/`, '/') }
  if (text.startsWith('/')) {
    return refuse('bad-match', `${quote(text)} has no second slash`, 'write /expression/')
  }
  if (/[*?]/.test(text)) return parseGlob(text, foldCase)
  if (text.startsWith('@')) {
    const domain = canonicalDomain(text.slice(1))
    return domain === undefined
      ? refuse('bad-match', `${quote(text)} is no domain`, 'write @example.net')
      : { kind: 'domain', domain }
  }
  const [, from, to] = /^(\S)-(\S)$/su.exec(text.normalize('NFC')) ?? []
  if (from === undefined || to === undefined) {
    return refuse('bad-match', `${quote(text)} matches nothing`, matchForms)
  }
  return from.toLowerCase() <= to.toLowerCase()
    ? { kind: 'range', from, to }
    : refuse('bad-match', `${quote(text)} is empty`, `write ${to}-${from}`)
}

/** Compared with canonical addresses, so it is folded as they are. */
function parseGlob(text: string, foldCase: boolean): Match {
  const at = text.lastIndexOf('@')
  const local = canonicalLocal(at === -1 ? text : text.slice(0, at), foldCase)
  return { kind: 'glob', pattern: at === -1 ? local : local + text.slice(at).toLowerCase() }
}
