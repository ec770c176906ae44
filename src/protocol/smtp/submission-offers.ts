/**
 * What a client of submission is told before its login of what it will find after it: that which all
 * back-ends have in common. After its login it speaks with its own.
 */

/** A capability of a back-end as the probe tells it: `SIZE 1000`. */
type Capability = string

/** Extensions that are there or not, in the order in which they are told. */
const plain = [
  'PIPELINING',
  '8BITMIME',
  'SMTPUTF8',
  'DSN',
  'CHUNKING',
  'BINARYMIME',
  'ENHANCEDSTATUSCODES',
] as const

/** In them a message comes in other ways than by DATA. */
const unchecked = new Set(['CHUNKING', 'BINARYMIME', 'BURL'])

/** Lines for the answer to EHLO. Without any back-end there are none. */
export function commonExtensions(backends: readonly (readonly Capability[])[]): string[] {
  const known = backends.map(byName)
  const [first] = known
  if (first === undefined) return []
  const haveAll = (name: string): boolean => known.every((one) => one.has(name))
  const lines: string[] = plain.filter((name) => haveAll(name))
  // RFC 3030 section 3: it needs CHUNKING.
  const offered = haveAll('CHUNKING') ? lines : lines.filter((name) => name !== 'BINARYMIME')
  if (haveAll('SIZE')) offered.push(leastSize(known))
  // RFC 4468 section 3: with the kinds of URL that it takes.
  if (haveAll('BURL')) {
    const kinds = (first.get('BURL') ?? []).filter((kind) =>
      known.every((one) => one.get('BURL')?.includes(kind)),
    )
    offered.push(['BURL', ...kinds].join(' '))
  }
  return offered
}

/** What is left of them where messages are read on the way; the least size counts. */
export function checkedExtensions(extensions: readonly string[], limitBytes: number): string[] {
  return extensions.flatMap((line) => {
    const [name = '', size] = line.split(' ')
    if (name === 'SIZE') return [`SIZE ${Math.min(Number(size ?? limitBytes), limitBytes)}`]
    return unchecked.has(name) ? [] : [line]
  })
}

type Capabilities = ReadonlyMap<string, readonly string[]>

function byName(capabilities: readonly Capability[]): Capabilities {
  return new Map(
    capabilities.map((text) => {
      const [name = '', ...words] = text.split(' ').filter((word) => /^[!-~]+$/.test(word))
      return [name.toUpperCase(), words]
    }),
  )
}

/** RFC 1870 section 4: 0, or none, is no limit. */
function leastSize(known: readonly Capabilities[]): string {
  const sizes = known.map((one) => Number(/^\d{1,15}$/.exec(one.get('SIZE')?.[0] ?? '')?.[0] ?? 0))
  const limits = sizes.filter((bytes) => bytes > 0)
  return limits.length === 0 ? 'SIZE' : `SIZE ${Math.min(...limits)}`
}
