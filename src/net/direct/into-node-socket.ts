/** A direct connection that goes on as a socket of Node: for what only Node does. */
import { Socket } from 'node:net'
import type { DirectSocket } from './direct-socket.ts'

/** The connection must be paused, with nothing unsent; it is of no more use itself. */
export function intoNodeSocket(direct: DirectSocket): Socket {
  const heir: { socket?: Socket } = {}
  const { descriptor, putBack } = direct.giveAway({ destroy: () => heir.socket?.destroy() })
  direct.poller.remove(descriptor)
  const socket = new Socket({ fd: descriptor, allowHalfOpen: direct.allowHalfOpen })
  heir.socket = socket
  if (putBack !== undefined) socket.unshift(putBack)
  return socket
}
