/**
 * Under which keys popmap is asked for a login, where a site has others than addresses: templates as
 * in Perdition's `query_key` (perdition(8)), a list divided by commas. `\U` is the user's whole
 * address, `\u` its name, `\D` the `@`, `\d` its domain, `\\` a backslash; all else stands for itself.
 */
import { type Address, canonicalLocal, type Naming } from './address.ts'
import { canonicalDomain } from './domain.ts'

type Part = { readonly text: string } | 'user' | 'domain'

export interface QueryKey {
  /** As it was written. */
  readonly template: string
  readonly parts: readonly Part[]
}

export interface RefusedQueryKey {
  readonly refused: string
  readonly hint: string
}

const partsOf: Readonly<Record<string, readonly Part[]>> = {
  U: ['user', { text: '@' }, 'domain'],
  u: ['user'],
  D: [{ text: '@' }],
  d: ['domain'],
  '\\': [{ text: '\\' }],
}

/** Reads a list of templates. */
export function parseQueryKeys(text: string): readonly QueryKey[] | RefusedQueryKey {
  const keys: QueryKey[] = []
  for (const template of text.split(',').map((one) => one.trim())) {
    if (template === '')
      return { refused: 'a template is empty', hint: String.raw`such as '\u@\d, \u'` }
    const parts: Part[] = []
    for (const [whole, letter] of template.matchAll(/\\(.?)|[^\\]+/gsu)) {
      const known = letter === undefined ? [{ text: whole }] : partsOf[letter]
      if (known === undefined) return refuse(whole)
      parts.push(...known)
    }
    keys.push({ template, parts })
  }
  return keys
}

function refuse(escape: string): RefusedQueryKey {
  const isOfSession = /^\\[iIpP]$/.test(escape)
  return {
    refused: isOfSession
      ? `${escape} is an address or a port: where a login goes depends on its name alone`
      : `${escape} stands for nothing`,
    hint: String.raw`known: \U, \u, \D, \d, \\`,
  }
}

/** The keys to ask for, in order, each once; of a name with a detail that with it before that without. */
export function queriesFor(keys: readonly QueryKey[], address: Address, naming: Naming): string[] {
  const { user, detail, domain } = address
  const names = detail === undefined ? [] : [user + naming.recipientDelimiter + detail]
  const filled = keys.flatMap(({ parts }) =>
    [...names, user].map((name) =>
      parts
        .map((part) => (part === 'user' ? name : part === 'domain' ? domain : part.text))
        .join(''),
    ),
  )
  return [...new Set(filled.map((key) => canonicalQuery(key, naming)))]
}

/** A key in the one form that is compared: letters as in names, a domain of ours canonical. */
export function canonicalQuery(text: string, { domains, foldCase }: Naming): string {
  const at = text.lastIndexOf('@')
  const domain = at === -1 ? undefined : canonicalDomain(text.slice(at + 1))
  const isOurs = domain !== undefined && domains.has(domain)
  if (!isOurs) return canonicalLocal(text, foldCase)
  return `${canonicalLocal(text.slice(0, at), foldCase)}@${domain}`
}

/** Whom a key is about: undefined parts are anybody's. */
export interface Asked {
  readonly user: string | undefined
  readonly domain: string | undefined
}

/** Tells whom the first template that makes a key asks for; undefined where none of them makes it. */
export function queryReader(
  keys: readonly QueryKey[],
  naming: Naming,
): (key: string) => Asked | undefined {
  const patterns = keys.map(({ parts }) => patternOf(parts, naming))
  return (key) => {
    const canonical = canonicalQuery(key, naming)
    for (const pattern of patterns) {
      const found = pattern.exec(canonical)
      if (found === null) continue
      const { user, domain } = found.groups ?? {}
      if (domain === undefined || naming.domains.has(domain)) return { user, domain }
    }
    return undefined
  }
}

function patternOf(parts: readonly Part[], { foldCase }: Naming): RegExp {
  const sources = parts.map((part, index) => {
    if (typeof part === 'object') return RegExp.escape(canonicalLocal(part.text, foldCase))
    // What a part is again later in a template is what it was.
    return parts.indexOf(part) < index ? `\\k<${part}>` : `(?<${part}>[^@]+)`
  })
  return new RegExp(`^${sources.join('')}$`, 'su')
}
