/** Keys of Postfix's tables: addresses as on the wire, `"ann b"@example.com`; postmap(1), virtual(5). */
import { formatAddress } from '../../mail/address.ts'
import { unquote } from '../sources/line-grammar.ts'

/** An address, or a domain, as a key. */
export function printKey(key: string): string {
  const at = key.lastIndexOf('@')
  return at < 1 ? key : formatAddress(key.slice(0, at), key.slice(at + 1))
}

/** Key and value of an entry; either may be empty. */
export function divideEntry(text: string): { readonly key: string; readonly value: string } {
  const [, key = '', value = ''] = /^("(?:[^"\\]|\\.)*"\S*|\S+)(?:\s+(.*?))?\s*$/su.exec(text) ?? []
  return { key: unquote(key), value }
}
