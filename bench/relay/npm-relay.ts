/**
 * The relay that is at hand in Node.js: smtp-server in front, a pool of nodemailer behind.
 * FOLDER PORT BACKEND_PORT; both packages are in FOLDER.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

interface Address {
  readonly address: string
}
interface Session {
  readonly envelope: { readonly mailFrom: Address; readonly rcptTo: readonly Address[] }
}
type Done = (error: Error | null, info?: { readonly response: string } | string) => void
interface Server {
  new (options: object): { listen(port: number, host: string): void }
}
interface Mailer {
  createTransport(options: object): { sendMail(mail: object, done: Done): void }
}

const [, , folder = '', port, backendPort] = process.argv
const require = createRequire(join(folder, 'package.json'))
const load = (name: string): unknown => require(name)
const { SMTPServer } = load('smtp-server') as { readonly SMTPServer: Server }
const pool = (load('nodemailer') as Mailer).createTransport({
  host: '127.0.0.1',
  port: Number(backendPort),
  pool: true,
  maxConnections: 16,
  maxMessages: Infinity,
  ignoreTLS: true,
})
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['AUTH', 'STARTTLS'],
  disableReverseLookup: true,
  size: 104_857_600,
  logger: false,
  onData(raw: Readable, session: Session, callback: Done) {
    const { mailFrom, rcptTo } = session.envelope
    const envelope = { from: mailFrom.address, to: rcptTo.map(({ address }) => address) }
    pool.sendMail({ envelope, raw }, (error, info) =>
      callback(error, typeof info === 'string' ? info : info?.response),
    )
  },
})
server.listen(Number(port), '127.0.0.1')
