/**
 * How near this process is to its last file descriptor. The kernel gives out the lowest number that
 * is free, so that the number of a new socket tells how many are open at least: none is counted.
 */
import type { Connection } from './connection.ts'
import { DirectSocket } from './direct/direct-socket.ts'

const soonShare = 1 / 64
const soonLeast = 2
let most = Number.POSITIVE_INFINITY

/** `openFiles`: how many this process may have. */
export function boundDescriptors(openFiles: number): void {
  most = openFiles
}

/** Whether there are no more than `reserve` descriptors beside that of a new socket. */
export function isShortOfDescriptors(socket: Connection, reserve: number): boolean {
  return numberOf(socket) >= most - reserve
}

/** Whether there will soon be: connections that are on their way need some of the rest. */
export function isSoonShortOfDescriptors(socket: Connection, reserve: number): boolean {
  const room = most - reserve
  return numberOf(socket) >= room - Math.max(soonLeast, room * soonShare)
}

function numberOf(socket: Connection): number {
  if (socket instanceof DirectSocket) return socket.descriptor
  const { _handle: handle } = socket as { _handle?: { readonly fd?: number } | null }
  return handle?.fd ?? -1
}
