/** Who is to move, and whether the map lets it: the plan of a move. */
import { MailmuxError } from '../base/error.ts'
import type { BackendConfig, Config } from '../config/config.ts'
import { type Address, parseAddress } from '../mail/address.ts'
import type { Destination } from '../mail/route.ts'
import { homeOf } from '../map/edit/flip-user.ts'
import { nameOf } from '../map/key.ts'
import { openMapInForce, type TracingReader } from '../map/open.ts'
import { describeValue, type Value } from '../map/value.ts'
import type { MovePlan } from '../map/state/move-journal.ts'

export interface WantedMove extends Pick<MovePlan, 'merge' | 'maxBad' | 'ignores'> {
  readonly user: string
  readonly to: BackendConfig
  readonly verify?: MovePlan['verify'] | undefined
}

/** The canonical address of a user as somebody typed it. Throws USER_UNKNOWN. */
export function userNamed(name: string, { naming }: Config): Address {
  const address = parseAddress(name, naming)
  if (address !== undefined && naming.domains.has(address.domain)) return address
  throw new MailmuxError('USER_UNKNOWN', `${name} is no address of ours`)
}

/**
 * Undefined where the user lives there already. Throws USER_UNKNOWN, MOVE_REFUSED where mail and
 * logins go to different mailboxes, another name leads to the same one, or the target is being
 * drained, and what opening the map throws.
 */
export function planMove(
  config: Config,
  { user, to, merge, maxBad, ignores = [], verify }: WantedMove,
): MovePlan | undefined {
  const address = userNamed(user, config)
  const map = openMapInForce(config, undefined, 'few questions')
  try {
    const home = homeOf(map, config, address)
    if (home.backend === to.name) return undefined
    refuseDrainingTarget(to)
    refuseOtherNames(map, config, address, home)
    const { login } = home
    const word = parseAddress(login, config.naming)?.key === address.key ? '' : `${login}@`
    const value = `${word}${to.name}`
    return {
      user: address.key,
      source: home.backend,
      target: to.name,
      login,
      value,
      ...(popmapDecides(map, config, address) ? { retrieval: value } : {}),
      isReturn: false,
      merge,
      maxBad,
      ...(ignores.length === 0 ? {} : { ignores }),
      ...(verify === undefined ? {} : { verify }),
    }
  } finally {
    map.close()
  }
}

/** It would be moved again. Throws MOVE_REFUSED. */
export function refuseDrainingTarget({ name, state }: BackendConfig): void {
  if (state !== 'draining') return
  const what = `${name} takes no new users, it is being drained`
  throw new MailmuxError('MOVE_REFUSED', `${what}: \`mailmux backend undrain ${name}\` first`)
}

function popmapDecides(map: TracingReader, { naming }: Config, address: Address): boolean {
  let isSaid = false
  map.resolveTraced('retrieval', address, naming, ({ source, found }) => {
    if (source === 'popmap' && found !== undefined) isSaid = true
  })
  return isSaid
}

/** They would go on to the mailbox that is left behind. */
function refuseOtherNames(
  map: TracingReader,
  { naming }: Config,
  address: Address,
  home: Destination,
): void {
  const mailbox = parseAddress(home.login, naming)?.key ?? home.login
  const isHome = (value: Value | undefined): boolean =>
    value?.kind === 'rename' &&
    value.backend === home.backend &&
    (parseAddress(value.login, naming)?.key ?? value.login) === mailbox
  for (const { key, source } of map.records()) {
    if (source === 'aliases' || key === address.key) continue
    const { delivery, retrieval } = map.lookup.find(key) ?? {}
    const value = [delivery, retrieval].find(isHome)
    if (value === undefined) continue
    const what = `${nameOf(key)} leads to the same mailbox (${describeValue(value)})`
    throw new MailmuxError('MOVE_REFUSED', `${what}: make it an alias of ${address.key} first`)
  }
}
