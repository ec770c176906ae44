/**
 * Addresses, parsed once. The canonical form is the only one that is compared, looked up and
 * logged; what goes out on the wire is the text that came in, with the canonical domain.
 *
 * Local part: NFC, ASCII letters lower-cased where `foldCase` says so, nothing else folded
 * (no NFKC, no Unicode case folding: look-alikes stay different users).
 */
import { canonicalDomain } from './domain.ts'

/** The longest local part, in octets. RFC 5321 4.5.3.1.1. */
export const localPartBytes = 64

export interface Naming {
  /** Canonical domains that are ours. */
  readonly domains: ReadonlySet<string>
  /** The domain of a login that was typed without one. */
  readonly defaultDomain: string
  /** Divides `local+detail`; '' where a site has no detail addresses. */
  readonly recipientDelimiter: string
  readonly foldCase: boolean
}

export interface Address {
  /** Local part as it came, unquoted. */
  readonly local: string
  /** Canonical domain. */
  readonly domain: string
  /** Canonical local part without detail. */
  readonly user: string
  /** Canonical detail, without its delimiter. */
  readonly detail: string | undefined
  /** `user@domain`: the key of the map, the name of the user in logs. */
  readonly key: string
}

// A lone surrogate cannot be written as UTF-8, so it could never be sent on as it was looked up.
// oxlint-disable-next-line no-control-regex -- control bytes are what is looked for
const unsendable = /[\u0000-\u001f\u007f]|\p{Surrogate}/u

/** Most names: nothing in them to compose, or to refuse. */
const printableAscii = /^[\u0020-\u007e]*$/

/** Lower case for ASCII letters only: `toLowerCase` would make other users of some letters. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

export function canonicalLocal(local: string, foldCase: boolean): string {
  if (printableAscii.test(local)) return foldCase ? local.toLowerCase() : local
  const composed = local.normalize('NFC')
  return foldCase ? lowerAscii(composed) : composed
}

/** Puts parts together that a grammar has already divided; undefined where they name nobody. */
export function makeAddress(local: string, domain: string, naming: Naming): Address | undefined {
  // Most are ours, and written as they are compared.
  const canonical = naming.domains.has(domain) ? domain : canonicalDomain(domain)
  if (canonical === undefined || local === '') return undefined
  if (!printableAscii.test(local) && unsendable.test(local)) return undefined
  const folded = canonicalLocal(local, naming.foldCase)
  const { recipientDelimiter } = naming
  // A name that begins with the delimiter has no user before it: it is one name.
  const cut = recipientDelimiter === '' ? -1 : folded.indexOf(recipientDelimiter, 1)
  const user = cut === -1 ? folded : folded.slice(0, cut)
  const detail = cut === -1 ? undefined : folded.slice(cut + recipientDelimiter.length)
  return { local, domain: canonical, user, detail, key: `${user}@${canonical}` }
}

/**
 * Reads `local@domain` or a bare `local` (then of the default domain), as it stands in maps, on
 * command lines and in logins. The last `@` divides; a second one is refused as ambiguous.
 */
export function parseAddress(text: string, naming: Naming): Address | undefined {
  const at = text.lastIndexOf('@')
  if (at === -1) return makeAddress(text, naming.defaultDomain, naming)
  const local = text.slice(0, at)
  return local.includes('@') ? undefined : makeAddress(local, text.slice(at + 1), naming)
}

/** `parseAddress`, also of a quoted local part as it stands on the wire and in logs; RFC 5321 4.1.2. */
export function parseWrittenAddress(text: string, naming: Naming): Address | undefined {
  const [, quoted, domain] = /^"((?:[^"\\]|\\.)*)"@([^@]*)$/su.exec(text) ?? []
  if (quoted === undefined || domain === undefined) return parseAddress(text, naming)
  return makeAddress(quoted.replace(/\\(.)/gsu, '$1'), domain, naming)
}

const dotString = /^[^\s"(),.:;<>@[\\\]]+(?:\.[^\s"(),.:;<>@[\\\]]+)*$/u

/** The wire form: `local@domain`, the local part quoted where RFC 5321 4.1.2 asks for it. */
export function formatAddress(local: string, domain: string): string {
  const written = dotString.test(local) ? local : `"${local.replace(/["\\]/g, String.raw`\$&`)}"`
  return `${written}@${domain}`
}
