/** A way to a server that is cut after so many bytes of its answers, or that never answers. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface CutProxy extends AsyncDisposable {
  readonly port: number
  /** Bytes of answers that were passed on. */
  readonly passedBytes: number
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

async function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy()
  server.close()
  await once(server, 'close')
}

/**
 * Cuts every connection after so many bytes from the server, but for the first `spared` ones, and
 * those that come after `most` have been to be cut.
 */
export async function cutAfter(
  port: number,
  limitBytes: number,
  spared = 0,
  most = Number.POSITIVE_INFINITY,
): Promise<CutProxy> {
  let connections = 0
  const sockets = new Set<Socket>()
  let passedBytes = 0
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const isCut = ++connections > spared && connections <= spared + most
    let left = isCut ? limitBytes : Number.POSITIVE_INFINITY
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.on('data', (bytes) => void upstream.write(bytes))
    upstream.on('data', (bytes: Buffer) => {
      const part = bytes.subarray(0, left)
      left -= part.length
      passedBytes += part.length
      client.write(part, () => {
        if (left === 0) end()
      })
    })
  })
  return {
    port: await listen(server),
    get passedBytes() {
      return passedBytes
    },
    [Symbol.asyncDispose]: () => close(server, sockets),
  }
}

/** Takes connections, and says nothing. */
export function silentServer(): Promise<CutProxy> {
  return answeringServer(Buffer.alloc(0))
}

/** Answers whatever comes first with the same bytes, and nothing after it. */
export async function answeringServer(answer: Buffer): Promise<CutProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('data', () => void socket.write(answer))
  })
  const port = await listen(server)
  return { port, passedBytes: 0, [Symbol.asyncDispose]: () => close(server, sockets) }
}
