/**
 * A way to an IMAP server that counts what goes through, and says of some commands that it is too
 * much, as servers do that bound their users.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/**
 * What is said in place of an answer: `NO [THROTTLED] later`, or `BYE …`, which ends the connection; ''
 * for nothing.
 */
export type Refuse = (command: string, seen: ThrottlingProxy) => string | undefined

export class ThrottlingProxy implements AsyncDisposable {
  readonly port: number
  /** Octets, both ways. */
  bytes = 0
  /** Of the client. */
  commands = 0
  /** Connections that are open, and the most that were. */
  open = 0
  mostOpen = 0
  /** In turn: those of each command that was refused. */
  readonly openAtRefusals: number[] = []
  readonly #close: () => Promise<void>

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.#close = close
  }

  static async start(port: number, refuse: Refuse = () => undefined): Promise<ThrottlingProxy> {
    const sockets = new Set<Socket>()
    const server = createServer((client) => {
      for (const socket of proxy.#join(client, port, refuse)) sockets.add(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new ThrottlingProxy((server.address() as { port: number }).port, async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    })
    return proxy
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }

  #join(client: Socket, port: number, refuse: Refuse): Socket[] {
    const upstream = connect(port, '127.0.0.1')
    this.open++
    this.mostOpen = Math.max(this.mostOpen, this.open)
    let isOver = false
    const end = (): void => {
      client.end()
      upstream.destroy()
      if (!isOver) this.open--
      isOver = true
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    client.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length
      const text = chunk.toString('latin1')
      const [, tag = '', command = ''] = /^([A-Z0-9]+) ([A-Z].*)\r\n/.exec(text) ?? []
      if (command !== '') this.commands++
      const said = command === '' || isOver ? undefined : refuse(command, this)
      if (said === undefined) upstream.write(chunk)
      else {
        this.openAtRefusals.push(this.open)
        if (said === '') return
        const isEnd = said.startsWith('BYE')
        client.write(`${isEnd ? '*' : tag} ${said}\r\n`)
        if (isEnd) end()
      }
    })
    upstream.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length
      if (!client.write(chunk)) upstream.pause()
    })
    client.on('drain', () => upstream.resume())
    return [client, upstream]
  }
}
