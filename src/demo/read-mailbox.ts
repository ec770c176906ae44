/** Reads a mailbox as a mail program does: over POP3 (RFC 1939), over IMAP. */
import { ImapFlow } from 'imapflow'
import { MailmuxError, messageOf } from '../base/error.ts'
import { LineClient } from './line-client.ts'

export interface StoredMessage {
  readonly subject: string
  /** The host that put it into the mailbox, as its own trace header says. */
  readonly storedBy: string
}

export interface Credentials {
  readonly login: string
  readonly password: string
}

/** Every message of the mailbox. Throws DEMO_FAILED where a step is refused. */
export async function readByPop3(
  port: number,
  { login, password }: Credentials,
): Promise<readonly StoredMessage[]> {
  using client = await LineClient.connect(port)
  await expectOk(client)
  await command(client, `USER ${login}`)
  await command(client, `PASS ${password}`)
  const count = Number((await command(client, 'STAT')).split(' ')[1])
  const messages: StoredMessage[] = []
  for (let number = 1; number <= count; number++) {
    await command(client, `TOP ${number} 0`)
    let headers = ''
    for (let line = await client.line(); line !== '.'; line = await client.line()) {
      headers += `${line}\r\n`
    }
    messages.push(describe(headers))
  }
  await command(client, 'QUIT')
  return messages
}

async function command(client: LineClient, text: string): Promise<string> {
  client.send(text)
  return expectOk(client)
}

async function expectOk(client: LineClient): Promise<string> {
  const line = await client.line()
  if (!line.startsWith('+OK')) throw new MailmuxError('DEMO_FAILED', `POP3: ${line}`)
  return line
}

/** Every message of INBOX. Throws DEMO_FAILED where a step is refused. */
export async function readByImap(
  port: number,
  { login, password }: Credentials,
): Promise<readonly StoredMessage[]> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user: login, pass: password },
    logger: false,
  })
  // What goes wrong is thrown by the calls below; the event tells the same once more.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.mailboxOpen('INBOX', { readOnly: true })
    const found = await client.fetchAll('1:*', { headers: ['subject', 'received'] })
    await client.logout()
    return found.map(({ headers }) => describe(headers?.toString('latin1') ?? ''))
  } catch (error) {
    client.close()
    throw new MailmuxError('DEMO_FAILED', `IMAP as ${login}: ${messageOf(error)}`, { cause: error })
  }
}

function describe(headers: string): StoredMessage {
  const subject = /^subject: *(.*)$/im.exec(headers)?.[1]?.trim() ?? ''
  // The first is the last that was written.
  const storedBy = /^received:[^]*?\bby ([\w.-]+)/im.exec(headers)?.[1] ?? 'unknown'
  return { subject, storedBy }
}
