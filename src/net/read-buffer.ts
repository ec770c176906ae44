/**
 * Buffers that dialled sockets read into. All quiet connections share one: what was read is passed
 * on or copied before the callback returns. A busy connection borrows a large one for as long as
 * it is busy; there are few, so that slow readers cannot hold much memory: who gets none goes on
 * with the shared one.
 */
const quietBytes = 16_384
const largeBytes = 262_144
const mostBorrowed = 64
const mostIdle = 8

/** Shared by every quiet connection of this process. Its contents are gone after the callback. */
export const quietBuffer = Buffer.allocUnsafeSlow(quietBytes)

const idle: Buffer[] = []
let borrowed = 0

/** A large buffer to be given back, or undefined where too many are out. */
export function borrowLargeBuffer(): Buffer | undefined {
  if (borrowed >= mostBorrowed) return undefined
  borrowed++
  return idle.pop() ?? Buffer.allocUnsafeSlow(largeBytes)
}

/** `inUse`: some write still refers to it, so that it cannot be lent again. */
export function returnLargeBuffer(buffer: Buffer, inUse: boolean): void {
  borrowed--
  if (!inUse && idle.length < mostIdle) idle.push(buffer)
}
