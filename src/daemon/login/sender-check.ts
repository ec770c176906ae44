/** Whom a user may send as: every address from which mail comes to the user's own mailbox. */
import { makeAddress, type Naming, parseAddress } from '../../mail/address.ts'
import { parseLogin } from '../../mail/login-name.ts'
import type { Destination, Resolution } from '../../mail/route.ts'
import type { Claim } from '../../protocol/smtp/checked-session.ts'
import type { Path } from '../../protocol/smtp/path.ts'
import type { Generation } from '../runtime.ts'

/** `user`: the canonical address of who has logged in. */
export function judgeSender({ config, map }: Generation, user: string, path: Path): Claim {
  const { naming, checkSender } = config
  if (path.wire === '') return checkSender === 'own-or-null' ? 'own' : 'foreign'
  const sender = makeAddress(path.local, path.domain, naming)
  if (sender === undefined) return 'foreign'
  if (sender.key === user) return 'own'
  const led = map.resolve('delivery', sender, naming)
  const address = parseAddress(user, naming)
  // As itself, not as an alias that it may be as well: that one leads to others, too.
  const home = address === undefined ? undefined : map.resolveFinal(address, naming)
  if (led.result === 'error' || home?.result === 'error') return 'unknown'
  const [own] = home?.result === 'route' ? destinationsOf(home) : []
  if (own === undefined) return 'foreign'
  const leadsHome = destinationsOf(led).some((one) => isSameMailbox(one, own, naming))
  return leadsHome ? 'own' : 'foreign'
}

function destinationsOf(resolution: Resolution): readonly Destination[] {
  if (resolution.result === 'expand') return resolution.destinations
  return resolution.result === 'route' ? [resolution.destination] : []
}

/** A name there may be written with its domain or without. */
function isSameMailbox(one: Destination, other: Destination, naming: Naming): boolean {
  const [left, right] = [one.login, other.login].map(
    (login) => parseLogin(login, naming)?.key ?? login,
  )
  return one.backend === other.backend && left === right
}
