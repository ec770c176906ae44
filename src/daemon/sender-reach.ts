/** Whether a notification can be sent to the sender of a message: by the map, or by the smarthost. */
import type { Config } from '../config/config.ts'
import { type Address, type Naming, parseWrittenAddress } from '../mail/address.ts'

/** The address of a sender in a domain of ours. */
export function ownAddress(sender: string, naming: Naming): Address | undefined {
  const address = parseWrittenAddress(sender, naming)
  return address !== undefined && naming.domains.has(address.domain) ? address : undefined
}

/** False also of a null sender, who is told nothing. */
export function canBeTold(sender: string, { naming, smarthost }: Config): boolean {
  if (sender === '') return false
  return smarthost !== undefined || ownAddress(sender, naming) !== undefined
}
