/** How servers say that it is too much, and that the same may work later. */

/**
 * RFC 5530 section 3 has UNAVAILABLE; THROTTLED is Gmail's. INUSE, LIMIT and OVERQUOTA say that only of
 * a login, and are told by its outcome.
 */
const codes = new Set(['UNAVAILABLE', 'THROTTLED'])

/**
 * Gmail: `[OVERQUOTA] Account exceeded command or bandwidth limits`, `[ALERT] Too many simultaneous
 * connections`; Microsoft 365: `Request is throttled`; Yahoo: `[LIMIT] Rate limit hit`; Dovecot:
 * `Maximum number of connections from user+IP exceeded`.
 */
const words =
  /\bthrottl|\brate limit|bandwidth limit|too many (?:simultaneous )?connections|maximum number of connections/i

/** Of a NO, BAD or BYE. `code` in capitals. */
export function isThrottling(code: string, text: string): boolean {
  return codes.has(code) || words.test(text)
}
