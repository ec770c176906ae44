/** One message from a client to a relay, and what it hears. */
import type { Peer } from './peer.ts'

/** Sends `commands`, each of which gets one reply; returns their codes and texts. */
export async function ask(client: Peer, ...commands: readonly string[]): Promise<string[]> {
  const replies: string[] = []
  for (const command of commands) {
    client.send(Buffer.from(`${command}\r\n`))
    replies.push(await reply(client))
  }
  return replies
}

/** The next reply, its last line. */
export async function reply(client: Peer): Promise<string> {
  const [, last = ''] = await client.expect(/^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/)
  return last
}

/** An envelope by commands and a short message; returns the last reply. */
export async function deliver(client: Peer, ...envelope: readonly string[]): Promise<string> {
  await ask(client, ...envelope, 'DATA')
  client.send('Subject: x\r\n\r\nhi\r\n.\r\n')
  return reply(client)
}
