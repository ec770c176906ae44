/** Connections that are made by system calls. */
import type { Inlet } from '../dial.ts'
import { DirectSocket } from './direct-socket.ts'
import type { Poller } from './poller.ts'
import { encodeAddress, familyOf, type SocketAddress } from './socket-address.ts'
import { inProgress, socketOptions, type SystemCalls } from './system-calls.ts'

/**
 * Connects to an address, without a zone. The socket emits `connect`, or `error` and `close`, later; with an
 * inlet it reads from the beginning. It has noDelay, and lets the other side close first.
 */
export function connectDirectly(
  poller: Poller,
  remote: SocketAddress,
  inlet?: Inlet,
): DirectSocket {
  const socket = new DirectSocket(poller, {
    descriptor: startConnecting(poller, remote),
    isConnecting: true,
    inlet,
    remote,
  })
  socket.allowHalfOpen = true
  return inlet === undefined ? socket : socket.resume()
}

/** Of back-ends: as many as a config has. */
const known = new Map<string, Buffer>()
const mostKnown = 1000

function encoded(calls: SystemCalls, remote: SocketAddress): Buffer {
  const key = `${remote.port} ${remote.address}`
  const before = known.get(key)
  if (before !== undefined) return before
  const address = encodeAddress(calls, remote)
  if (known.size >= mostKnown) known.clear()
  known.set(key, address)
  return address
}

/** Returns a descriptor or a negative error number. */
function startConnecting({ calls }: Poller, remote: SocketAddress): number {
  const address = encoded(calls, remote)
  const descriptor = calls.socket(familyOf(address))
  if (descriptor < 0) return descriptor
  calls.setOption(descriptor, socketOptions.noDelay, 1)
  const result = calls.connect(descriptor, address)
  if (result === 0 || result === inProgress) return descriptor
  calls.close(descriptor)
  return result
}
