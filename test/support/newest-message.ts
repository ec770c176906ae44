/** The newest message of a mailbox, as an IMAP client without TLS gets it. */
import { ImapFlow } from 'imapflow'

export async function newestMessage(port: number, user: string): Promise<Buffer> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user, pass: 'x', loginMethod: 'LOGIN' },
    logger: false,
  })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.mailboxOpen('INBOX', { readOnly: true })
    const message = await client.fetchOne('*', { source: true })
    if (message === false || message.source === undefined) throw new Error(`${user} has no mail`)
    return message.source
  } finally {
    await client.logout()
  }
}
