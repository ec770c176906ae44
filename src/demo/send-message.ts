/** An SMTP client; RFC 5321 section 3.3. */
import { LineClient } from './line-client.ts'

export interface Message {
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly body: string
}

/**
 * One message in a session of its own; returns the reply that settled it: the refusal of its
 * recipient, or the answer to the message itself.
 */
export async function sendMessage(port: number, message: Message): Promise<string> {
  const { from, to, subject, body } = message
  using client = await LineClient.connect(port)
  await readReply(client)
  await command(client, 'EHLO laptop.example.net')
  await command(client, `MAIL FROM:<${from}>`)
  let verdict = await command(client, `RCPT TO:<${to}>`)
  if (verdict.startsWith('2')) verdict = await command(client, 'DATA')
  if (verdict.startsWith('3')) {
    const headers = [`From: <${from}>`, `To: <${to}>`, `Subject: ${subject}`]
    const lines = [...headers, `Date: ${new Date().toUTCString()}`, '', body]
    const stuffed = lines.map((line) => (line.startsWith('.') ? `.${line}` : line))
    verdict = await command(client, [...stuffed, '.'].join('\r\n'))
  }
  client.send('QUIT')
  return verdict
}

async function command(client: LineClient, text: string): Promise<string> {
  client.send(text)
  return readReply(client)
}

/** The last line of a reply; RFC 5321 section 4.2.1. */
async function readReply(client: LineClient): Promise<string> {
  for (;;) {
    const line = await client.line()
    if (line[3] !== '-') return line
  }
}
