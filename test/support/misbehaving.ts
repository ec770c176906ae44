/** A back-end that behaves well up to a step of a message, and then not. */
import type { Peer } from './peer.ts'

export const steps = [
  'banner',
  'hello',
  'mail',
  'rcpt',
  'data',
  'body',
  'end',
  'half-verdict',
] as const
export type Step = (typeof steps)[number]

export type Fault = 'close' | 'reset' | 'silence' | 'garbage' | 'long line' | 'shutdown' | 'surplus'

/** The fault, in place of an answer. */
export function misbehave(peer: Peer, fault: Fault): void {
  switch (fault) {
    case 'close':
      peer.socket.end()
      break
    case 'reset':
      peer.socket.resetAndDestroy()
      break
    case 'silence':
      break
    case 'garbage':
      peer.send('\0\xff99x what?\r\n')
      break
    case 'long line':
      peer.send('x'.repeat(100_000))
      break
    case 'shutdown':
      peer.send('421 4.3.2 going\r\n')
      break
    case 'surplus':
      peer.send('250 one\r\n250 two\r\n250 three\r\n250 four\r\n')
      break
  }
}

/** Behaves well up to a step, and no further. */
export async function serveUpTo(peer: Peer, step: Step, fault: Fault): Promise<void> {
  const turns: readonly [Step, RegExp | undefined, string][] = [
    ['banner', undefined, '220 fritz ESMTP\r\n'],
    ['hello', /^EHLO .*\r\n/, '250 fritz\r\n'],
    ['mail', /^MAIL .*\r\n/, '250 ok\r\n'],
    ['rcpt', /^RCPT .*\r\n/, '250 ok\r\n'],
    ['data', /^DATA\r\n/, '354 go\r\n'],
    ['body', /^Received: /, ''],
    ['end', /\r\n\.\r\n/, '250-half\r\n'],
    ['half-verdict', undefined, ''],
  ]
  for (const [turn, expected, answer] of turns) {
    if (expected !== undefined) await peer.expect(expected)
    if (turn === step) return misbehave(peer, fault)
    peer.send(answer)
  }
}

export const faults: readonly Fault[] = [
  'close',
  'reset',
  'silence',
  'garbage',
  'long line',
  'shutdown',
]
