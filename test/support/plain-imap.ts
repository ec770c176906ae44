/**
 * A way to an IMAP server on which it offers, and tells, little more than IMAP4rev1, or other things
 * than it would.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface PlainImap extends AsyncDisposable {
  readonly port: number
  /** All that was sent to the server. */
  readonly sent: string
}

const extensions =
  'MULTIAPPEND LITERAL+ UIDPLUS ESEARCH CONDSTORE QRESYNC BINARY LIST-EXTENDED LIST-STATUS SPECIAL-USE STATUS=SIZE SASL-IR'.split(
    ' ',
  )
const told = /APPENDUID|HIGHESTMODSEQ/g

/** Words of answers are replaced by others of their length; no message may have them in it. */
function plain(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(told, (word) => `X${word.slice(1)}`)
  const lines = text.replace(/CAPABILITY [^\r\n\]]*/g, (line) =>
    line
      .split(' ')
      .map((word) => (extensions.includes(word) ? 'X'.repeat(word.length) : word))
      .join(' '),
  )
  return Buffer.from(lines, 'latin1')
}

/** `change`: of what the server says; the length must stay as it is. */
export async function plainImap(
  port: number,
  change: (bytes: Buffer) => Buffer = plain,
): Promise<PlainImap> {
  const sockets = new Set<Socket>()
  let sent = ''
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.on('data', (bytes: Buffer) => {
      sent += bytes.toString('latin1')
      upstream.write(bytes)
    })
    upstream.on('data', (bytes: Buffer) => void client.write(change(bytes)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    get sent() {
      return sent
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
