/**
 * An IMAP back-end that refuses every login, after a wait between `LEAST` and `MOST` milliseconds as
 * one takes that looks a password up: node bench/login-times/backend.ts LEAST MOST. Prints its port.
 */
import { createServer, type Socket } from 'node:net'

const [least = 0, most = least] = process.argv.slice(2).map(Number)

function serve(socket: Socket): void {
  socket.on('error', () => undefined)
  socket.write('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n')
  socket.on('data', (chunk) => {
    const [tag = '*', verb = ''] = chunk.toString('latin1').split(' ')
    if (!/^LOGIN/i.test(verb)) socket.end(`${tag} OK\r\n`)
    else {
      const waitMs = least + Math.random() * (most - least)
      setTimeout(() => socket.end(`${tag} NO [AUTHENTICATIONFAILED] no\r\n`), waitMs)
    }
  })
}

const server = createServer({ noDelay: true }, serve).listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${address !== null && typeof address === 'object' ? address.port : 0}\n`)
})
