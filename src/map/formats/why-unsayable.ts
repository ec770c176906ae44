/**
 * What of a foreign map our sources cannot say: the readers of a build are asked, so that what an
 * import writes is what a build takes.
 */
import { messageOf } from '../../base/error.ts'
import { type Naming, parseAddress } from '../../mail/address.ts'
import { BackendTable } from '../backend-table.ts'
import { isCatchAll, parseKey } from '../key.ts'
import { compilePattern, compileRule } from '../rule.ts'
import { parseTarget } from '../sources/alias-targets.ts'
import { divideKeyedLine, divideTargets, writeKey } from '../sources/line-grammar.ts'
import { parseVerdict } from '../sources/parse-value.ts'
import { parseMatch } from '../sources/rules.ts'
import { isLoginName } from '../value.ts'
import type { Fact, Target } from './fact.ts'

/** Undefined where nothing is wrong. Servers are looked at where they are named. */
export function whyUnsayable(
  fact: Fact,
  naming: Naming,
  hasQueryKeys: boolean,
): string | undefined {
  switch (fact.kind) {
    case 'user':
      return whyNoUserKey(fact, naming, hasQueryKeys) ?? whyNoUserTarget(fact, naming)
    case 'alias':
      return whyNoAlias(fact, naming)
    case 'rule':
      return whyNoMatch(fact.match, naming) ?? whyNoRuleTarget(fact.to)
    case 'shares':
      return whyNoMatch(fact.match, naming)
    case 'word':
      return whyNoUserKey(fact, naming, hasQueryKeys) ?? whyNoLine(fact.value)
    case 'line':
      return whyNoLine(fact.text)
    case 'pattern':
      return whyNoPattern(fact)
    default:
      return fact satisfies never
  }
}

function whyNoUserKey(
  fact: Extract<Fact, { readonly kind: 'user' | 'word' }>,
  naming: Naming,
  hasQueryKeys: boolean,
): string | undefined {
  if (!hasQueryKeys || !isOfPopmap(fact)) return whyNoKey(fact.key, naming)
  if (fact.key.startsWith('*@')) return 'here it would stand for every name of the domain'
  const line = `${writeKey(fact.key)}:x`
  const isRead = whyNoLine(line) === undefined && divideKeyedLine(line, 'colon')?.key === fact.key
  return isRead ? undefined : 'it is no key of a line'
}

/** True for what becomes a line of popmap. */
export function isOfPopmap(fact: Extract<Fact, { readonly kind: 'user' | 'word' }>): boolean {
  return fact.kind === 'user' ? fact.side === 'retrieval' : fact.source === 'popmap'
}

function whyNoKey(key: string, naming: Naming): string | undefined {
  if (key.startsWith('*@')) return 'here it would stand for every name of the domain'
  return 'refused' in parseKey(key, naming) ? 'its key is no address' : undefined
}

type UserFact = Extract<Fact, { readonly kind: 'user' }>

function whyNoUserTarget({ side, to }: UserFact, naming: Naming): string | undefined {
  if (side === 'retrieval' && to.kind !== 'server') return 'logins go to a server or nowhere'
  switch (to.kind) {
    case 'server': {
      const { login } = to
      if (login === undefined) return undefined
      const isTaken = side !== 'retrieval' && /^[a-z]+:|,/i.test(login)
      return isLoginName(login) && !isTaken ? undefined : 'its name there is no name of a user'
    }
    case 'forward': {
      // Parts of names are filled in later.
      const address = to.address.replace(/%[1-3]/g, 'x')
      const isWord = /^[^@]+@/.test(address) && isLoginName(address) && !/,|^[a-z]+:/i.test(address)
      const isRead = isWord && parseAddress(address, naming) !== undefined
      return isRead ? undefined : 'it goes to what is no address'
    }
    default:
      return whyNoVerdict(to)
  }
}

function whyNoVerdict(to: Extract<Target, { kind: 'reject' | 'defer' }>): string | undefined {
  const parsed = parseVerdict(to.kind, `${to.status}:${to.code} ${to.text}`)
  return 'refused' in parsed ? parsed.refused : undefined
}

function whyNoRuleTarget(to: Target): string | undefined {
  if (to.kind === 'server') return to.login && 'a rule cannot give another name'
  if (to.kind === 'forward') return 'a rule sends to a back-end, or refuses'
  return to.text.includes('"') ? 'a quotation mark in its reply' : whyNoVerdict(to)
}

function whyNoMatch(match: string, naming: Naming): string | undefined {
  const isRegex = /^\/(?:[^/\\]|\\.)*\/$/su.test(match)
  if (/[\r\n]|^#/.test(match) || (!isRegex && /\s/.test(match))) return 'it is no match of a rule'
  const parsed = parseMatch(match, naming.foldCase)
  if ('refused' in parsed) return 'it is no match of a rule'
  const at = { file: '', line: 1, column: 1 }
  const destination = { kind: 'hash', shares: [] } as const
  return whyThrown(() => compileRule({ match: parsed, destination, at, text: match }))
}

/** As in a line of a file whose name ends in `.re`. */
function whyNoPattern({ expression, to, at }: Extract<Fact, { kind: 'pattern' }>) {
  if (to.kind !== 'server') return 'logins go to a server or nowhere'
  if (!/^(?![#\s]|\*@)[^\r\n]*[^\s:]$/.test(expression))
    return 'it is no expression that a line has'
  const { login } = to
  if (login !== undefined && !isLoginName(login)) return 'its name there is no name of a user'
  const used = [...(login ?? '').matchAll(/\$([1-9])/g)].map(([, digit]) => Number(digit))
  const source = { pattern: expression, backend: '', login, at, text: '' }
  return whyThrown(() => {
    const groups = compilePattern(source).groupCount
    return used.some((number) => number > groups) ? 'it has fewer groups than its name uses' : ''
  })
}

/** RE2 tells what it lacks: look-around, back-references. */
function whyThrown(compile: () => unknown): string | undefined {
  try {
    const outcome = compile()
    return typeof outcome === 'string' && outcome !== '' ? outcome : undefined
  } catch (error) {
    return `the expression is not supported: ${messageOf(error)}`
  }
}

function whyNoAlias(
  { name, targets }: Extract<Fact, { kind: 'alias' }>,
  naming: Naming,
): string | undefined {
  if (isCatchAll(name)) return 'a whole domain is no alias'
  if (targets.length === 0) return 'it has no target'
  // An odd quotation mark would take the next target with it.
  const read = divideTargets(targets.join(', '), 1).map(({ text }) => text)
  const isSame = read.length === targets.length && read.every((one, at) => one === targets[at])
  const isWhole = isSame && targets.every((target) => isTarget(target, naming))
  return whyNoKey(name, naming) ?? (isWhole ? undefined : 'a target is no address')
}

function isTarget(text: string, naming: Naming): boolean {
  if (whyNoLine(text) !== undefined) return false
  // Whether its host is a back-end, and who takes mail elsewhere, is for the build to say.
  const backends = new BackendTable([])
  return !('refused' in parseTarget(text, { naming, backends, smarthost: 'any' }))
}

/** Where a form has escapes, what they stand for could add lines of its own. */
function whyNoLine(text: string): string | undefined {
  // oxlint-disable-next-line no-control-regex -- control bytes are what is looked for
  const hasControls = /[\u0000-\u0008\u000a-\u001f\u007f]/.test(text)
  if (hasControls) return 'a line holds no line break and no control character'
  return /^[^\s#].*(?<!\s)$/u.test(text) ? undefined : 'it is no line of a source'
}
