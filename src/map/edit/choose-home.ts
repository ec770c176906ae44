/** Where a new user is to live, where nobody says so: by the rules, but at no back-end in drain. */
import { MailmuxError } from '../../base/error.ts'
import { formatPosition } from '../../base/position.ts'
import type { Config } from '../../config/config.ts'
import type { Address } from '../../mail/address.ts'
import { makeChooser } from '../rendezvous.ts'
import type { Rule } from '../rule.ts'
import type { Value } from '../value.ts'

export interface ChosenHome {
  readonly backend: string
  /** Where the rule sends the user as long as no line says otherwise. */
  readonly byRule: string
}

/**
 * The first rule that matches decides, as it would for a login. Throws CHANGE_REFUSED where there is
 * none, or it names no back-end that takes new users.
 */
export function chooseHome(
  rules: readonly Rule[],
  address: Address,
  backends: Config['backends'],
): ChosenHome {
  const name = address.key
  const rule = rules.find((one) => one.matches(address))
  if (rule === undefined) return refuse(`no rule says where ${name} is to live`)
  const where = `rule ${rule.text} (${formatPosition(rule.at)})`
  const { destination } = rule
  const named = rule.valueFor(address.key)
  if (named.kind !== 'backend') return refuse(`${where} lets ${name} live nowhere`)
  const byRule = named.backend
  const shares = destination.kind === 'hash' ? destination.shares : [{ backend: byRule, weight: 1 }]
  const open = shares.filter(({ backend }) => backends.get(backend)?.state === 'online')
  if (open.length === 0) {
    return refuse(`${where} has no back-end for ${name} that takes new users`)
  }
  return { backend: makeChooser(open)(address.key), byRule }
}

function refuse(what: string): never {
  throw new MailmuxError('CHANGE_REFUSED', `${what}: name a back-end`)
}

/** Refuses a back-end in drain, but for who is there already. Throws CHANGE_REFUSED. */
export function refuseDraining(
  value: Value | undefined,
  home: string | undefined,
  backends: Config['backends'],
): void {
  if (value === undefined || !('backend' in value) || value.backend === home) return
  const { backend } = value
  if (backends.get(backend)?.state !== 'draining') return
  const what = `${backend} takes no new users, it is being drained`
  throw new MailmuxError('CHANGE_REFUSED', `${what}: \`mailmux backend undrain ${backend}\` first`)
}
