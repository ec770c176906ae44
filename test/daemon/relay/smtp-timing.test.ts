/** Pieces and pauses, the client's and the back-ends', never change what becomes of a message. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type FanOutOptions,
  names,
  people,
  startFanOut,
  withoutTrace,
} from '../../support/fan-out.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { Sink, type SinkOptions } from '../../support/relay.ts'

const verdicts = {
  accepted: '250 2.0.0 stored\r\n',
  refused: '554 5.7.1 spam\r\n',
  deferred: '451 4.3.0 later\r\n',
  unknown: undefined,
} as const
const answersToRcpt = {
  taken: undefined,
  unknown: '550 5.1.1 no such user\r\n',
  greylisted: '450 4.2.0 grey\r\n',
} as const

interface Behaviour {
  readonly verdict: keyof typeof verdicts
  readonly rcpt: keyof typeof answersToRcpt
  readonly isPipelining: boolean
}

interface Rhythm {
  /** Lengths of the pieces, used over and over. */
  readonly pieces: readonly number[]
  /** Turns of the event loop before each piece. */
  readonly pauses: readonly number[]
}

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  verdict: fc.constantFrom('accepted', 'refused', 'deferred', 'unknown'),
  rcpt: fc.oneof(
    { weight: 4, arbitrary: fc.constant('taken' as const) },
    { weight: 1, arbitrary: fc.constantFrom('unknown' as const, 'greylisted' as const) },
  ),
  isPipelining: fc.boolean(),
})
const rhythm: fc.Arbitrary<Rhythm> = fc.record({
  pieces: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 }),
  pauses: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 8 }),
})
const steady: Rhythm = { pieces: [1_000_000], pauses: [0] }

/** Everything that is sent from now on goes in pieces, with pauses. */
function slowDown(peer: Peer, { pieces, pauses }: Rhythm): void {
  const send = peer.send.bind(peer)
  let turn = 0
  let last = Promise.resolve()
  const sendPieces = async (text: string): Promise<void> => {
    for (let from = 0; from < text.length; turn++) {
      const pause = pauses[turn % pauses.length] ?? 0
      for (let count = 0; count < pause; count++) {
        await new Promise((next) => void setImmediate(next))
      }
      const to = from + (pieces[turn % pieces.length] ?? 1)
      send(text.slice(from, to))
      from = to
    }
  }
  peer.send = (bytes) => {
    last = last.then(() => sendPieces(bytes.toString('latin1')))
    return peer
  }
}

async function slowSink(options: SinkOptions, rhythm: Rhythm): Promise<[Sink, ScriptedBackend]> {
  const sink = new Sink(options)
  const backend = await ScriptedBackend.start((peer) => {
    slowDown(peer, rhythm)
    return sink.serve(peer)
  })
  return [sink, backend]
}

const message = 'Subject: x\r\n\r\n..dot\r\n.\r\n'

/** One session with two messages; everything that can be seen of it from outside. */
async function outcomeOf(
  behaviours: readonly Behaviour[],
  users: readonly string[],
  rhythms: { readonly client: Rhythm; readonly backend: Rhythm },
): Promise<unknown> {
  await using stack = new AsyncDisposableStack()
  const sinks: Sink[] = []
  const ports: Record<string, number> = {}
  for (const [index, { verdict, rcpt, isPipelining }] of behaviours.entries()) {
    const [sink, backend] = await slowSink(
      {
        capabilities: isPipelining ? ['PIPELINING'] : ['SIZE'],
        answer: (line) => (line.startsWith('RCPT') ? answersToRcpt[rcpt] : undefined),
        verdict: () => verdicts[verdict],
      },
      rhythms.backend,
    )
    stack.use(backend)
    sinks.push(sink)
    ports[names[index] ?? ''] = backend.port
  }
  const options: FanOutOptions = { ports, routes: people }
  const place = stack.use(await startFanOut(options))
  using client = await place.relay.client()
  slowDown(client, rhythms.client)
  const heard: string[] = []
  const hear = async (): Promise<string> => {
    const [, reply = ''] = await client.expect(/^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/)
    heard.push(reply)
    return reply
  }
  for (let count = 0; count < 2; count++) {
    const rcpt = users.map((user) => `RCPT TO:<${user}@example.com>\r\n`).join('')
    client.send(`MAIL FROM:<bob@example.net>\r\n${rcpt}DATA\r\n`)
    for (let reply = 0; reply < users.length + 1; reply++) await hear()
    if ((await hear()).startsWith('354')) {
      client.send(message)
      await hear()
    }
  }
  client.send('QUIT\r\n')
  await hear()
  await place.relay.runtime.idle()
  return {
    heard,
    stored: sinks.map(({ stored }) =>
      stored.map(({ sender, recipients, data }) => [sender, recipients, withoutTrace(data)]),
    ),
    kept: place.spool.states,
    uncertain: place.relay.runtime.eventsOf('uncertain').map(({ backend }) => backend),
    messages: place.relay.runtime.eventsOf('message').map(({ code }) => code),
  }
}

test('the rhythm of client and back-ends changes nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(behaviour, { minLength: 3, maxLength: 3 }),
      fc.shuffledSubarray(['ann', 'amy', 'ida', 'kim', 'all', 'list'], { minLength: 1 }),
      rhythm,
      rhythm,
      async (behaviours, users, client, backend) => {
        const expected = await outcomeOf(behaviours, users, { client: steady, backend: steady })
        const actual = await outcomeOf(behaviours, users, { client, backend })
        assert.deepEqual(actual, expected)
      },
    ),
    { numRuns: 60 },
  )
})
