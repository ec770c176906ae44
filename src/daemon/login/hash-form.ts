/**
 * Which hashes of passwords are taken, as crypt(3) and Dovecot write them: SHA-256-crypt,
 * SHA-512-crypt, bcrypt, Argon2; no scheme that is weaker, and no password in clear.
 */

/** What may stand in braces before a hash, and how such hashes begin. */
const schemes: Readonly<Record<string, RegExp>> = {
  'SHA256-CRYPT': /^\$5\$/,
  'SHA512-CRYPT': /^\$6\$/,
  'BLF-CRYPT': /^\$2[aby]\$/,
  ARGON2I: /^\$argon2i\$/,
  ARGON2ID: /^\$argon2id\$/,
  CRYPT: /^\$(?:[56]|2[aby])\$/,
}
const forms = [
  /^\$[56]\$(?:rounds=[1-9]\d{3,8}\$)?[^$:]{0,16}\$[./A-Za-z0-9]{43,86}$/,
  /^\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/,
]
export const argon2Form =
  /^\$(argon2id?)\$v=19\$m=(\d{1,7}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,})\$([A-Za-z0-9+/]{16,})$/

/** The hash without the name of its scheme; undefined where it is none that is taken. */
export function readHash(text: string): string | undefined {
  const [, scheme, hash = ''] = /^(?:\{([A-Za-z0-9-]+)\})?(.*)$/.exec(text) ?? []
  if (scheme !== undefined && schemes[scheme.toUpperCase()]?.test(hash) !== true) return undefined
  return [...forms, argon2Form].some((form) => form.test(hash)) ? hash : undefined
}
