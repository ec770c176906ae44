/** The sockets of this process that are made by system calls, and TLS over them, where it has such. */
import type { DirectTls } from './accept-tls.ts'
import { OpenSsl } from './openssl.ts'
import { Poller } from './poller.ts'
import { type ForeignFunctions, SystemCalls } from './system-calls.ts'

let poller: Poller | undefined
let tls: DirectTls | undefined

/** Connections of this process are on system calls from now on, where the system has them. */
export function useDirectSockets(foreignFunctions: ForeignFunctions): void {
  try {
    poller ??= new Poller(new SystemCalls(foreignFunctions))
    tls ??= { poller, openSsl: new OpenSsl(foreignFunctions) }
  } catch {
    // A build of Node, or a system, that lacks one of them: Node's own sockets do.
  }
}

/** Undefined where there are none: Node's own do. */
export function directSockets(): Poller | undefined {
  return poller
}

/** For servers; undefined where there is none: Node's own does. */
export function directTls(): DirectTls | undefined {
  return tls
}
