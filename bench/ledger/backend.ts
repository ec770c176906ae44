/**
 * A back-end that writes down what it takes before it says so: a line for each message and recipient,
 * with one write, which a kill of the process does not take back. It puts a few messages off, refuses
 * those for one address, and is killed at any time.
 *
 * `node backend.ts PROTOCOL PORT FILE`
 */
import { openSync, writeSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { unwanted } from './cast.ts'

const [protocol = 'smtp', port = '0', file = ''] = process.argv.slice(2)
const record = openSync(file, 'a', 0o600)
/** Shares of what is put off by chance. */
const putOffRecipient = 0.003
const putOffMessage = 0.005
const end = '\r\n.\r\n'

interface Transaction {
  sender: string
  recipients: string[]
}

function serve(socket: Socket): void {
  let text = ''
  let searched = 0
  let isInMessage = false
  let open: Transaction = { sender: '', recipients: [] }
  socket.setNoDelay(true).setEncoding('latin1')
  socket.on('error', () => undefined)
  socket.write('220 backend.example ESMTP\r\n')
  socket.on('data', (chunk: string) => {
    text += chunk
    for (;;) {
      if (isInMessage) {
        const at = text.indexOf(end, Math.max(0, searched - end.length))
        searched = text.length
        if (at === -1) return
        take(socket, open, text.slice(0, at))
        text = text.slice(at + end.length)
        isInMessage = false
        continue
      }
      const at = text.indexOf('\r\n')
      if (at === -1) return
      const line = text.slice(0, at)
      // The line end before the message may be part of its end.
      isInMessage = /^DATA$/i.test(line) && open.recipients.length > 0
      searched = 0
      text = text.slice(isInMessage ? at : at + 2)
      open = answer(socket, line, open)
    }
  })
}

function answer(socket: Socket, line: string, open: Transaction): Transaction {
  const say = (reply: string): void => void socket.write(`${reply}\r\n`)
  const [, path = ''] = /<(.*?)>/.exec(line) ?? []
  switch (line.slice(0, 4).toUpperCase()) {
    case 'EHLO':
    case 'LHLO':
      say('250-backend.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 99999999')
      return open
    case 'MAIL':
      say('250 2.1.0 ok')
      return { sender: path, recipients: [] }
    case 'RCPT':
      if (Math.random() < putOffRecipient) say('450 4.2.1 not now')
      else {
        say('250 2.1.5 ok')
        open.recipients.push(path.split('@')[0] ?? '')
      }
      return open
    case 'DATA':
      say(open.recipients.length > 0 ? '354 go on' : '554 5.5.1 no valid recipients')
      return open
    case 'QUIT':
      say('221 2.0.0 bye')
      socket.end()
      return open
    default:
      say('250 2.0.0 ok')
      return { sender: '', recipients: [] }
  }
}

function take(socket: Socket, { sender, recipients }: Transaction, text: string): void {
  const [, number = '-1', attempt = '0'] = /^X-Ledger: (\d+) (\d+)/m.exec(text) ?? []
  // A notification has the head of its message in it.
  const kind = sender === '' ? 'notice' : 'mail'
  const lineOf = (local: string): string => `${kind} ${number} ${attempt} ${local}\n`
  if (protocol === 'smtp') {
    if (Math.random() < putOffMessage) return void socket.write('451 4.3.0 not now\r\n')
    writeSync(record, recipients.map(lineOf).join(''))
    socket.write('250 2.0.0 stored\r\n')
    return
  }
  for (const local of recipients) {
    if (local === unwanted) socket.write('550 5.7.1 not wanted\r\n')
    else if (Math.random() < putOffMessage) socket.write('452 4.2.2 not now\r\n')
    else {
      writeSync(record, lineOf(local))
      socket.write('250 2.0.0 stored\r\n')
    }
  }
}

createServer(serve).listen(Number(port), '127.0.0.1')
