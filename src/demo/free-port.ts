/** Ports that nobody listens on at the moment, as the kernel gives them out. */
import { once } from 'node:events'
import { createServer } from 'node:net'

/** That many different free ports of the loopback address. Another program may still be faster. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  try {
    // All are held until the last is known, so that none is given out twice.
    await Promise.all(servers.map((server) => once(server, 'listening')))
    return servers.map((server) => {
      const address = server.address()
      return address !== null && typeof address === 'object' ? address.port : 0
    })
  } finally {
    await Promise.all(
      servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    )
  }
}
