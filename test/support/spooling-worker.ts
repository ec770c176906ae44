/** A worker whose SMTP is a toy: each line is a recipient; what is answered is the queue id, or an error. */
import type { Connection } from '../../src/net/connection.ts'
import { MailmuxError } from '../../src/base/error.ts'
import type { Runtime } from '../../src/daemon/runtime.ts'
import { runWorker } from '../../src/daemon/worker.ts'
import { envelopeOf, inMemory, owed, plainMessage } from './spool.ts'

async function spool(address: string, { spool: writer }: Runtime): Promise<string> {
  if (writer === undefined) return 'no spool'
  try {
    const [, from, to = address] = /^(\S*) (\S+)$/.exec(address) ?? []
    const envelope = envelopeOf([owed(to)], from === undefined ? {} : { sender: from })
    return await writer.accept(envelope, inMemory(plainMessage))
  } catch (error) {
    return error instanceof MailmuxError ? error.code : String(error)
  }
}

function serve(socket: Connection, runtime: Runtime): void {
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    for (const address of chunk.toString().split('\r\n').filter(Boolean)) {
      void spool(address, runtime).then((answer) => socket.write(`${answer}\r\n`))
    }
  })
  socket.resume()
}

const start = async () => (socket: Connection, _: unknown, runtime: Runtime) =>
  serve(socket, runtime)
const mail = { smtp: start, lmtp: start }
runWorker(1, { ...mail, imap: start, pop3: start, sieve: start, submission: start })
