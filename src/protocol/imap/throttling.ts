/** How servers say that it is too much, and that the same may work later. */

/**
 * RFC 5530 section 3 has UNAVAILABLE; THROTTLED is Gmail's. INUSE, LIMIT and OVERQUOTA say that only of
 * a login, and are told by its outcome.
 */
const codes = new Set(['UNAVAILABLE', 'THROTTLED'])

/** Codes of a refusal whose text may have the name of a folder in it. RFC 5530, RFC 9051 section 7.1. */
const ofFolders = new Set(['NONEXISTENT', 'ALREADYEXISTS', 'TRYCREATE', 'CANNOT', 'NOPERM'])

/**
 * Gmail: `[OVERQUOTA] Account exceeded command or bandwidth limits`, `[ALERT] Too many simultaneous
 * connections`; Microsoft 365: `Request is throttled`; Yahoo: `[LIMIT] Rate limit hit`; Dovecot:
 * `Maximum number of connections from user+IP exceeded`.
 */
const words =
  /\bthrottl|\brate limit|bandwidth limit|too many (?:simultaneous )?connections|maximum number of connections/i

/** Of a NO, BAD or BYE. `code` in capitals. */
export function isThrottling(code: string, text: string): boolean {
  return codes.has(code) || (!ofFolders.has(code) && words.test(text))
}
