/** Guessing, at a front end that does not exempt this host. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeAuthority } from '../../support/certificates.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'

let backend: ScriptedBackend

before(async () => {
  const certificate = makeAuthority().issue(['fritz.example.com'])
  backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] fritz ready\r\n')
    if (await serveLogin(peer, { service: 'imap', certificate })) await peer.end()
  })
})
after(() => backend[Symbol.asyncDispose]())

function startFront(
  limits: Readonly<Record<string, string>>,
  options: Partial<FrontEndOptions> = {},
): Promise<FrontEnd> {
  return FrontEnd.start({
    service: 'imap',
    backendPort: backend.port,
    limits: { exempt: '[]', auth_failure_delay: '40ms', ...limits },
    ...options,
  })
}

let guesses = 0

async function begin(
  front: FrontEnd,
  login: string,
  password = `wrong${guesses++}`,
): Promise<Peer> {
  const client = await front.connect()
  await client.expect(/^\* OK .*\r\n/)
  client.send(`a LOGIN ${login} ${password}\r\n`)
  return client
}

/** How long the answer took; milliseconds. */
async function guess(front: FrontEnd, login: string, password?: string): Promise<number> {
  using client = await begin(front, login, password)
  const startedAt = performance.now()
  await client.expect(/^a NO \[AUTHENTICATIONFAILED\] .*\r\n/)
  return performance.now() - startedAt
}

const reasonsOf = (front: FrontEnd): string[] =>
  front.runtime.eventsOf('refuse').map(({ reason }) => reason)

test('each failure of an address makes the next wait, in other sessions and for other names', async () => {
  await using front = await startFront({})
  const waits: number[] = []
  for (const login of ['ann', 'nobody', 'x@elsewhere.example'])
    waits.push(await guess(front, login))
  for (const [index, least] of [40, 80, 160].entries()) {
    assert.ok((waits[index] ?? 0) >= least - 5, `${index}: ${waits[index]}`)
  }
  using client = await begin(front, 'ann', 'secret')
  await client.expect(/^a OK .*\r\n/)
  const afterSuccess = await guess(front, 'bob')
  assert.ok(afterSuccess < 120, `${afterSuccess}`)
})

test('a device with an old password waits no longer each time', async () => {
  await using front = await startFront({})
  for (let count = 0; count < 5; count++) {
    const waitedMs = await guess(front, 'ann', 'wrong-old')
    assert.ok(waitedMs >= 35 && waitedMs < 79, `${waitedMs}`)
  }
})

test('of an address ten logins are under way, and who gives up frees no place early', async () => {
  await using front = await startFront({ auth_failure_delay: '500ms' })
  const clients = await Promise.all(Array.from({ length: 10 }, (_, n) => begin(front, `no${n}`)))
  // They have been refused by nobody yet, and their clients do not wait for it.
  const startedAt = performance.now()
  for (const client of clients) client[Symbol.dispose]()
  using late = await begin(front, 'ann', 'secret')
  await late.expect(/^a OK .*\r\n/)
  assert.ok(performance.now() - startedAt >= 400, `${performance.now() - startedAt}`)
  assert.deepEqual(reasonsOf(front), [])
})

test('beyond its rate an address is told to come again, and no back-end is asked', async () => {
  await using front = await startFront({
    auth_failures_per_ip: '2/hour',
    auth_failure_delay: '10ms',
  })
  await guess(front, 'ann')
  await guess(front, 'nobody')
  const asked = backend.peers.length
  for (const login of ['ann', 'nobody']) {
    using client = await begin(front, login, 'secret')
    await client.expect(/^a NO \[UNAVAILABLE\] .*\r\n/)
  }
  assert.equal(backend.peers.length, asked)
  assert.deepEqual(reasonsOf(front), ['auth_rate', 'auth_rate'])
})

test('names that nobody can mean count against their address, too', async () => {
  await using front = await startFront(
    { auth_failures_per_ip: '1/hour', auth_failure_delay: '10ms' },
    { service: 'pop3' },
  )
  using client = await front.connect()
  await client.expect(/^\+OK .*\r\n/)
  client.send(`AUTH PLAIN ${Buffer.from('admin\0ann\0x').toString('base64')}\r\n`)
  await client.expect(/^-ERR \[AUTH\] .*\r\n/)
  client.send('USER ann\r\nPASS secret\r\n')
  await client.expect(/^\+OK.*\r\n-ERR \[SYS\/TEMP\] .*\r\n/)
  assert.deepEqual(reasonsOf(front), ['auth_rate'])
})
