/** Whoever imports this has plain connections on system calls, as a worker has them. */
import * as foreignFunctions from 'node:ffi'
import { directSockets, useDirectSockets } from '../../src/net/direct/direct-sockets.ts'

useDirectSockets(foreignFunctions)
if (directSockets() === undefined) throw new Error('this system has no direct sockets')
