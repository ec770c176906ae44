/**
 * What a client is told before its login of what it will find after it: that which all back-ends
 * have in common. RFC 5804 section 1.7.
 */

/** A capability of a back-end as the probe tells it: `SIEVE fileinto reject`. */
export type Capability = string

export interface SieveOffers {
  /** Extensions of the language, between single spaces. */
  readonly extensions: string
  /** Ways to notify; undefined where the back-ends name none. */
  readonly notify: string | undefined
  readonly maxRedirects: number | undefined
  /** The commands of RFC 5804 are all there: RENAMESCRIPT, CHECKSCRIPT, NOOP. */
  readonly isComplete: boolean
}

/**
 * Told while it is not known what the back-ends have. Every server has `fileinto`, which RFC 5228
 * section 4.1 asks for, and sieve-connect gives up on one that names nothing.
 */
export const leastOffers: SieveOffers = {
  extensions: 'fileinto',
  notify: undefined,
  maxRedirects: undefined,
  isComplete: false,
}

/** Without any back-end the least is offered. */
export function commonOffers(backends: readonly (readonly Capability[])[]): SieveOffers {
  if (backends.length === 0) return leastOffers
  const known = backends.map(byName)
  const notify = commonWords(known, 'NOTIFY')
  const hasNotify = notify.length > 0
  const redirects = known.map((one) => Number(/^\d{1,9}$/.exec(one.get('MAXREDIRECTS') ?? '')?.[0]))
  return {
    // Section 1.7: whoever has the extension names its methods.
    extensions: commonWords(known, 'SIEVE')
      .filter((word) => hasNotify || word !== 'enotify')
      .join(' '),
    notify: hasNotify ? notify.join(' ') : undefined,
    maxRedirects: redirects.some(Number.isNaN) ? undefined : Math.min(...redirects),
    isComplete: known.every((one) => one.get('VERSION') === '1.0'),
  }
}

function byName(capabilities: readonly Capability[]): ReadonlyMap<string, string> {
  return new Map(
    capabilities.map((text) => {
      const [name = ''] = text.split(' ', 1)
      return [name.toUpperCase(), text.slice(name.length + 1)]
    }),
  )
}

/** In the order of the first, and only what may stand in a quoted string as it is. */
function commonWords(known: readonly ReadonlyMap<string, string>[], name: string): string[] {
  const [first = new Set<string>(), ...others] = known.map(
    (one) => new Set((one.get(name) ?? '').match(/(?<![^ ])[!#-[\]-~]+(?![^ ])/g)),
  )
  return [...first].filter((word) => others.every((one) => one.has(word)))
}
