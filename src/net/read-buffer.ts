/**
 * Buffers that dialled sockets read into. All quiet connections share one: what was read is passed
 * on or copied before the callback returns. A busy connection borrows a large one for as long as
 * it is busy; there are few, so that slow readers cannot hold much memory: who gets none goes on
 * with the shared one.
 */
const quietBytes = 16_384
/**
 * The first get the largest: where one read takes all that has come, it is the back-end that goes on sending,
 * and not the kernel in the time of whoever reads.
 */
const tiers = [
  { bytes: 1_048_576, most: 8, idle: [] as Buffer[] },
  { bytes: 262_144, most: 32, idle: [] as Buffer[] },
].map((tier) => ({ ...tier, borrowed: 0 }))
const mostIdle = 4

/** Shared by every quiet connection of this process. Its contents are gone after the callback. */
export const quietBuffer = Buffer.allocUnsafeSlow(quietBytes)

/** A large buffer to be given back, or undefined where too many are out. */
export function borrowLargeBuffer(): Buffer | undefined {
  const tier = tiers.find(({ borrowed, most }) => borrowed < most)
  if (tier === undefined) return undefined
  tier.borrowed++
  return tier.idle.pop() ?? Buffer.allocUnsafeSlow(tier.bytes)
}

/** `inUse`: some write still refers to it, so that it cannot be lent again. */
export function returnLargeBuffer(buffer: Buffer, inUse: boolean): void {
  const tier = tiers.find(({ bytes }) => bytes === buffer.length)
  if (tier === undefined) throw new Error('a buffer of somebody else')
  tier.borrowed--
  if (!inUse && tier.idle.length < mostIdle) tier.idle.push(buffer)
}
