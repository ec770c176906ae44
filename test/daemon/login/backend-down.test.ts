/** One back-end of ten that is down: whose users notice it, and what is said of it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildMapOf, startDaemon } from '../../support/daemon.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginWords } from '../../support/login-words.ts'
import { Peer, ScriptedBackend } from '../../support/peer.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { certificate } = tlsParties()
const words = loginWords.imap
const fleet = Array.from({ length: 10 }, (_, number) => `b${number}`)
const [lost = ''] = fleet
const others = fleet.slice(1)
const times = 20

/** How long the answer took, in milliseconds. */
async function logIn(port: number, user: string, answer: RegExp): Promise<number> {
  using client = await Peer.connect(port)
  await client.expect(words.greeting)
  const startedAt = performance.now()
  await client.send(words.logIn(user, 'secret')).expect(answer)
  return performance.now() - startedAt
}

/** Logs in at all of the others; the median, since a test has no machine for itself. */
async function median(port: number): Promise<number> {
  const took: number[] = []
  for (let time = 0; time < times; time++) {
    took.push(...(await Promise.all(others.map((name) => logIn(port, name, words.accepted)))))
  }
  return took.sort((one, other) => one - other)[Math.floor(took.length / 2)] ?? 0
}

for (const how of ['is silent', 'refuses']) {
  test(`of ten back-ends one ${how}: its users alone are put off, and status says which it is`, async () => {
    using dir = tempDir()
    await using stack = new AsyncDisposableStack()
    let isLost = false
    const ports: number[] = []
    for (const name of fleet) {
      const backend = stack.use(
        await ScriptedBackend.start(async (peer) => {
          if (isLost && name === lost) {
            if (how === 'refuses') peer.socket.resetAndDestroy()
            return
          }
          peer.send(words.backendGreeting)
          await serveLogin(peer, { service: 'imap', certificate }).catch(() => false)
        }),
      )
      ports.push(backend.port)
    }
    const backends = fleet.map((name, index) => `${name}: {host: 127.0.0.1, imap: ${ports[index]}}`)
    const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
backends: {${backends.join(', ')}}
map: {user_map: user_map}
listen: {imap: ["127.0.0.1:0"]}
limits: {login_timeout: 2s, sessions_per_ip: 0}
workers: 1
`
    writeFileSync(dir.join('user_map'), fleet.map((name) => `${name} ${name}\n`).join(''))
    await buildMapOf(dir, config)
    await using daemon = await startDaemon({ dir, config })
    const port = daemon.port('imap')
    await median(port)
    const before = await median(port)
    isLost = true
    let putOff = 0
    const inVain = Array.from({ length: times }, async () => {
      await logIn(port, lost, words.unavailable)
      putOff++
    })
    const meanwhile = await median(port)
    // Whoever waits for a silent one is waiting yet: nobody else has waited with them.
    if (how === 'is silent') assert.equal(putOff, 0)
    await Promise.all(inVain)
    assert.ok(meanwhile < 3 * before + 30, `${before} ms before, ${meanwhile} meanwhile`)
    await daemon.waitFor('backend')
    const troubles = new Set(daemon.eventsOf('backend').map((event) => event.backend))
    assert.deepEqual([...troubles], [lost])
    // One that takes connections is asked with more patience than is here.
    if (how === 'refuses') await daemon.waitFor('backend.state')
    const { backends: told } = await daemon.status()
    for (const { backend, protocols, errors } of told) {
      const isBad = backend === lost
      const state = protocols[0]?.state
      if (!isBad) assert.equal(state, 'up', backend)
      else if (how === 'refuses') assert.equal(state, 'down')
      assert.equal(errors.length > 0, isBad, backend)
    }
  })
}
