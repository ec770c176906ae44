/**
 * Domains in the one form that everything compares: lower case, A-labels (UTS #46), no trailing dot.
 */
import { toASCII } from 'tr46'

const plain =
  /^(?!.*xn--)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/i

/** The canonical form, or undefined where the text is no domain name (an address literal is none). */
export function canonicalDomain(text: string): string | undefined {
  const name = text.endsWith('.') ? text.slice(0, -1) : text
  if (name.length === 0 || name.length > 253) return undefined
  if (plain.test(name)) {
    return name.split('.').every((label) => label.length <= 63) ? name.toLowerCase() : undefined
  }
  const ascii = toASCII(name, {
    checkBidi: true,
    checkHyphens: true,
    checkJoiners: true,
    useSTD3ASCIIRules: true,
    verifyDNSLength: true,
  })
  // A full stop at the end was cut above; one that mapping made (U+3002) leaves an empty label.
  return ascii === null || ascii.endsWith('.') ? undefined : ascii
}
