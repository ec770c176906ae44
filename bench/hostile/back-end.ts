/** An IMAP back-end that judges passwords: `secret` is right, all others are wrong. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface JudgingBackEnd extends Disposable {
  readonly port: number
  /** Those who are connected now. */
  readonly sockets: ReadonlySet<Socket>
}

export async function startJudging(): Promise<JudgingBackEnd> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
    socket.setEncoding('latin1')
    socket.write('* OK [CAPABILITY IMAP4rev1] judging\r\n')
    let text = ''
    socket.on('data', (chunk: string) => {
      const lines = (text + chunk).split('\r\n')
      text = lines.pop() ?? ''
      for (const line of lines) answer(socket, line)
    })
  })
  server.listen(0, '127.0.0.1', 4096)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function answer(socket: Socket, line: string): void {
  const [tag = '', verb = ''] = line.split(' ')
  if (verb === 'LOGIN') {
    const isRight = / "?secret"?$/.test(line)
    socket.write(isRight ? `${tag} OK [CAPABILITY IMAP4rev1] in\r\n` : `${tag} NO wrong\r\n`)
  } else if (verb === 'LOGOUT') socket.end(`* BYE out\r\n${tag} OK out\r\n`)
  else socket.write(`${tag} OK done\r\n`)
}
