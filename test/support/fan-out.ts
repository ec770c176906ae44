/** A relay before three back-ends, fritz, ingrid and klaus, with a spool in memory where one is wanted. */
import type { Destination, Resolution } from '../../src/mail/route.ts'
import { MemorySpool } from './memory-spool.ts'
import type { Peer, ScriptedBackend } from './peer.ts'
import { Sink, type SinkOptions, TestRelay } from './relay.ts'
import { tempDir } from './temp-dir.ts'
import { routeTo } from './test-runtime.ts'

export const names = ['fritz', 'ingrid', 'klaus'] as const
export type Name = (typeof names)[number]

export function alias(
  user: string,
  members: readonly (readonly [address: string, backend: string])[],
  owner?: string,
): Resolution {
  const destinations = members.map(
    ([address, backend]): Destination => ({ address, backend, login: address }),
  )
  return { result: 'expand', user, destinations, ...(owner === undefined ? {} : { owner }) }
}

const everywhere = [
  ['ann@example.com', 'fritz'],
  ['ida@example.com', 'ingrid'],
  ['kim@example.com', 'klaus'],
] as const

/** ann and amy at fritz, ida at ingrid, kim at klaus; `all` is one of each, `list` with an owner. */
export const people: Readonly<Record<string, Resolution>> = {
  'ann@example.com': routeTo('fritz', 'ann@example.com'),
  'amy@example.com': routeTo('fritz', 'amy@example.com'),
  'ida@example.com': routeTo('ingrid', 'ida@example.com'),
  'kim@example.com': routeTo('klaus', 'kim@example.com'),
  'all@example.com': alias('all@example.com', everywhere),
  'list@example.com': alias('list@example.com', everywhere, 'owner-list@example.com'),
}

export interface FanOutOptions {
  /** What a back-end does beside the usual; `lmtp` makes it an LMTP server. */
  readonly sinks?: Readonly<Partial<Record<Name, SinkOptions>>>
  /** In place of a sink: what is there, at that port. */
  readonly ports?: Readonly<Partial<Record<Name, number>>>
  readonly routes?: Readonly<Record<string, Resolution>>
  readonly config?: string
  /** What the relay offers, in the place of what is usual. */
  readonly offered?: readonly string[]
  /** Settings of each back-end in YAML's flow style. */
  readonly backend?: string
  /** Where the copies of large messages go, in the place of a folder of the test's own. */
  readonly stateDir?: string
  /** 'none' for a host that keeps nothing. */
  readonly spool?: MemorySpool | 'none'
}

export interface FanOut extends AsyncDisposable {
  readonly relay: TestRelay
  readonly stateDir: string
  readonly spool: MemorySpool
  readonly sinks: Readonly<Record<Name, Sink>>
  readonly backends: Readonly<Record<Name, ScriptedBackend>>
}

export async function startFanOut(options: FanOutOptions = {}): Promise<FanOut> {
  const stack = new AsyncDisposableStack()
  const dir = stack.use(tempDir())
  const started = await Promise.all(names.map((name) => Sink.start(options.sinks?.[name])))
  for (const { backend } of started) stack.use(backend)
  const settings = names.map((name, index) => {
    const protocol = options.sinks?.[name]?.lmtp === true ? 'lmtp' : 'smtp'
    const port = options.ports?.[name] ?? started[index]?.backend.port
    return [name, `${protocol}: ${port}, tls: none, ${options.backend ?? 'connections: 100'}`]
  })
  const stateDir = options.stateDir ?? dir.path
  const spool = options.spool === 'none' ? undefined : (options.spool ?? new MemorySpool())
  const relay = stack.use(
    await TestRelay.start({
      backends: Object.fromEntries(settings) as Record<string, string>,
      routes: options.routes ?? people,
      config: `state_dir: ${stateDir}\nworkers: 1\n${options.config ?? ''}`,
      ...(spool === undefined ? {} : { spool }),
      ...(options.offered === undefined ? {} : { offered: options.offered }),
    }),
  )
  const of = <T>(pick: (one: (typeof started)[number]) => T): Record<Name, T> =>
    Object.fromEntries(
      names.map((name, index) => [name, pick(started[index] as (typeof started)[number])]),
    ) as Record<Name, T>
  return {
    relay,
    stateDir,
    spool: spool ?? new MemorySpool(),
    sinks: of(({ sink }) => sink),
    backends: of(({ backend }) => backend),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

export const body = 'Subject: hello\r\n\r\n..dot\r\nx\r\n'

/** MAIL, the recipients and DATA in one piece; returns the replies to all of them. */
export async function openMessage(
  client: Peer,
  recipients: readonly string[],
  sender = 'bob@example.net',
): Promise<readonly string[]> {
  const rcpt = recipients.map((user) => `RCPT TO:<${user}@example.com>\r\n`).join('')
  client.send(`MAIL FROM:<${sender}>\r\n${rcpt}DATA\r\n`)
  const replies: string[] = []
  while (replies.length < recipients.length + 2) {
    replies.push((await client.expect(/^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/))[1] ?? '')
  }
  return replies.slice(1)
}

/** Sends a whole message; returns the reply to it, or the last one before. */
export async function sendMessage(
  client: Peer,
  recipients: readonly string[],
  sender?: string,
): Promise<string> {
  const replies = await openMessage(client, recipients, sender)
  const last = replies.at(-1) ?? ''
  if (!last.startsWith('354')) return last
  client.send(`${body}.\r\n`)
  return (await client.expect(/^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/))[1] ?? ''
}

/** A message without the header line that a relay adds. */
export function withoutTrace(data: string): string {
  return data.replace(/^Received: .*\r\n(?:\t.*\r\n)*/, '')
}
