/**
 * Whom back-ends of mail programs are told of, octet for octet: by the PROXY header in both versions, and
 * by XCLIENT.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { loginServices, loginWords } from '../support/login-words.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const stack = new AsyncDisposableStack()
let daemon: Daemon
/** A back-end says nothing before it has the header: what comes first is only that. */
let backend: ScriptedBackend

const xclientServices = ['pop3', 'sieve', 'submission'] as const
type XclientService = (typeof xclientServices)[number]
/** What back-ends say that take XCLIENT, until they are told. */
const offers = {
  pop3: ['+OK [XCLIENT] ready\r\n'],
  sieve: ['"SASL" "PLAIN"\r\n"XCLIENT"\r\nOK "ready"\r\n'],
  submission: [
    '220 ready\r\n',
    '250-fritz\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR PORT DESTADDR DESTPORT\r\n',
  ],
} as const
/** What those say who ask what a back-end offers. */
const asked = /^(?:CAPA|LOGOUT|QUIT)$/
/** By their services. */
const toldOf = new Map<string, (line: string) => void>()

/** A back-end that takes XCLIENT, and hands on what it is told. */
async function startTrusting(service: XclientService): Promise<ScriptedBackend> {
  const trusting = await ScriptedBackend.start(async (peer) => {
    const [greeting, ...answers] = offers[service]
    peer.send(greeting)
    for (const answer of answers) {
      await peer.line()
      peer.send(answer)
    }
    const said = await peer.line()
    // Who asks what it offers comes when it likes, and leaves.
    if (!asked.test(said)) toldOf.get(service)?.(said)
    peer.socket.destroy()
  })
  return stack.use(trusting)
}

before(async () => {
  backend = stack.use(
    await ScriptedBackend.start(async (peer) => {
      await peer.end()
    }),
  )
  const trusting = await Promise.all(xclientServices.map(startTrusting))
  const xclientPorts = trusting.map(({ port }, index) => `${xclientServices[index]}: ${port}`)
  const ports = loginServices.map((service) => `${service}: ${backend.port}`).join(', ')
  const dir = stack.use(tempDir())
  const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
probe_interval: 0s
backends:
  one: {host: 127.0.0.1, ${ports}, client_address: proxy-v1}
  two: {host: 127.0.0.1, ${ports}, client_address: proxy-v2}
  three: {host: 127.0.0.1, ${xclientPorts.join(', ')}, client_address: xclient}
map: {rules: rules, popmap: popmap}
listen: {${loginServices.map((service) => `${service}: [{address: "127.0.0.1:0", tls: none}]`).join(', ')}}
workers: 1
`
  writeFileSync(dir.join('rules'), '* one\n')
  writeFileSync(dir.join('popmap'), 'bob@example.com: two\neve@example.com: three\n')
  await buildMapOf(dir, config)
  daemon = stack.use(await startDaemon({ dir, config }))
})

after(() => stack.disposeAsync())

/** As the PROXY protocol has it, sections 2.1 and 2.2: TCP over IPv4. */
function expected(version: 1 | 2, source: number, destination: number): string {
  if (version === 1) return `PROXY TCP4 127.0.0.1 127.0.0.1 ${source} ${destination}\r\n`
  const head = '0d0a0d0a000d0a515549540a2111000c'
  const octets = Buffer.from(`${head}7f0000017f00000100000000`, 'hex')
  octets.writeUInt16BE(source, 24)
  octets.writeUInt16BE(destination, 26)
  return octets.toString('latin1')
}

for (const service of loginServices) {
  for (const [user, version] of [
    ['ann', 1],
    ['bob', 2],
  ] as const) {
    test(`${service}: version ${version} names the client and where it came to`, async () => {
      using client = await Peer.connect(daemon.port(service))
      await client.expect(loginWords[service].greeting)
      const number = backend.peers.length
      client.send(loginWords[service].logIn(user, 'secret'))
      const peer = await backend.peerNumber(number)
      const { port } = client.socket.address() as AddressInfo
      const header = expected(version, port, daemon.port(service))
      await peer.expect(new RegExp(`^[^]{${header.length}}`))
      assert.equal(peer.received, header)
    })
  }
}

for (const service of xclientServices) {
  test(`${service}: XCLIENT names the client and where it came to, before anything else`, async () => {
    const { promise: told, resolve } = Promise.withResolvers<string>()
    toldOf.set(service, resolve)
    using client = await Peer.connect(daemon.port(service))
    await client.expect(loginWords[service].greeting)
    client.send(loginWords[service].logIn('eve', 'secret'))
    const { port } = client.socket.address() as AddressInfo
    const reached = `ADDR=127.0.0.1 PORT=${port} DESTADDR=127.0.0.1 DESTPORT=${daemon.port(service)}`
    // How many proxies more it may pass is known to those that speak as Dovecot does.
    assert.equal(await told, `XCLIENT ${reached}${service === 'submission' ? '' : ' TTL=7'}`)
  })
}
