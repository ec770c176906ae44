/** The SASL mechanisms that clients may log in with. */
import type { Mechanism } from '../../config/config.ts'

/** In the order in which they are offered. */
export const allMechanisms: readonly Mechanism[] = [
  'PLAIN',
  'LOGIN',
  'SCRAM-SHA-256',
  'SCRAM-SHA-1',
  'OAUTHBEARER',
  'XOAUTH2',
  'EXTERNAL',
]

/** They give us name and password: for the back-end these may go into any form. */
const withPassword: ReadonlySet<Mechanism> = new Set(['PLAIN', 'LOGIN'])

/** Offered while nothing is known of the back-ends. */
export const leastMechanisms: readonly Mechanism[] = ['PLAIN', 'LOGIN']

export function givesPassword(mechanism: Mechanism): mechanism is 'PLAIN' | 'LOGIN' {
  return withPassword.has(mechanism)
}

/** By a name in any case. */
export function mechanismNamed(name: string): Mechanism | undefined {
  const capitals = name.toUpperCase()
  return allMechanisms.find((mechanism) => mechanism === capitals)
}

/**
 * What can be offered where all these back-ends are behind, each with the names that it offers, in
 * capitals. An exchange is only offered where every one can carry it on. Passwords are always taken:
 * one back-end without them must not lock out the users of all others. EXTERNAL is not theirs: it is
 * a client of ours who shows a certificate.
 */
export function commonMechanisms(backends: readonly ReadonlySet<string>[]): readonly Mechanism[] {
  if (backends.length === 0) return leastMechanisms
  return allMechanisms.filter(
    (mechanism) =>
      mechanism !== 'EXTERNAL' &&
      (givesPassword(mechanism) || backends.every((offered) => canCarry(offered, mechanism))),
  )
}

/**
 * Who offers channel binding must refuse a client that thinks it is not offered (RFC 5802 section 6),
 * and through us nobody can be offered it.
 */
function canCarry(offered: ReadonlySet<string>, mechanism: Mechanism): boolean {
  return offered.has(mechanism) && !offered.has(`${mechanism}-PLUS`)
}
