/** The example of a site: its files are good as they stand, and in small, on this host, it works. */
import assert from 'node:assert/strict'
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseDocument } from 'yaml'
import { runCommand } from './support/command.ts'
import { startDaemon, writeConfig } from './support/daemon.ts'
import { deliver, ask, reply } from './support/message.ts'
import { Peer } from './support/peer.ts'
import { Sink } from './support/relay.ts'
import { type TempDir, tempDir } from './support/temp-dir.ts'

const example = new URL('../examples/two-relays-three-back-ends/', import.meta.url)
const relays = ['mx1', 'mx2'] as const
const mailboxes = ['fritz', 'ingrid', 'klaus'] as const

test('the relays of the example differ in their names alone, and their config is good', async () => {
  const [one, two] = relays.map((name) => readFileSync(new URL(`${name}.yaml`, example), 'utf8'))
  assert.equal(one?.replaceAll('mx1', 'mx2'), two)
  using dir = tempDir()
  cpSync(example, dir.path, { recursive: true })
  const check = await runCommand(['config', 'check', '--config', dir.join('mx1.yaml')])
  assert.deepEqual([check.code, check.stderr], [0, ''])
  assert.match(check.stdout, /good; 4 back-ends, 7 listeners/)
})

test('the example names every file that it holds', () => {
  const readme = readFileSync(new URL('README.md', example), 'utf8')
  for (const file of globSync('*', { cwd: example })) {
    assert.ok(file === 'README.md' || readme.includes(`\`${file}\``), file)
  }
})

test('the example in small: either relay brings each user the mail, out of one map', async () => {
  const [outside, ...inside] = await Promise.all([
    Sink.start(),
    ...mailboxes.map(() => Sink.start({ lmtp: true })),
  ])
  await using stack = new AsyncDisposableStack()
  for (const { backend } of [outside, ...inside]) stack.use(backend)
  const ports = Object.fromEntries(
    mailboxes.map((name, index) => [name, inside[index]?.backend.port ?? 0]),
  )
  const sites = relays.map((name) => {
    const dir = stack.use(tempDir())
    return { dir, config: inSmall(dir, name, { ...ports, out: outside.backend.port }) }
  })
  const [first, second] = sites
  assert(first !== undefined && second !== undefined)
  const file = writeConfig(first.dir, first.config)
  const build = await runCommand(['build-map', '--strict', '--config', file])
  assert.deepEqual([build.code, build.stderr], [0, ''])
  cpSync(first.dir.join('state'), second.dir.join('state'), { recursive: true })
  const daemons = await Promise.all(
    sites.map(async (site) => stack.use(await startDaemon({ ...site, services: ['smtp'] }))),
  )
  for (const [index, daemon] of daemons.entries()) {
    using client = await Peer.connect(daemon.port('smtp'))
    assert.match(await reply(client), new RegExp(`^220 mx${index + 1}\\.example\\.com `))
    await ask(client, 'EHLO client.example.net')
    const to = ['bob', 'sales', 'press'].map((user) => `RCPT TO:<${user}@example.com>`)
    assert.match(await deliver(client, 'MAIL FROM:<guest@example.net>', ...to), /^250 /)
    const [refusal] = await ask(client, 'MAIL FROM:<>', 'RCPT TO:<former@example.com>').then(
      (replies) => replies.slice(1),
    )
    assert.equal(refusal, '550 5.1.6 has left; write to office@example.com')
  }
  const recipients = [outside, ...inside].map(({ sink }) =>
    sink.stored.flatMap((message) => message.recipients.map((line) => /<(.*)@/.exec(line)?.[1])),
  )
  assert.deepEqual(
    recipients.map((users) => users.toSorted((left = '', right = '') => left.localeCompare(right))),
    [
      ['agency', 'agency'],
      ['bob', 'bob'],
      ['ann', 'ann'],
      ['oscar', 'oscar', 'zoe', 'zoe'],
    ],
  )
  const senders = inside[1]?.sink.stored.map(({ sender }) => sender)
  assert.deepEqual(
    senders?.map((line) => /<(.*)>/.exec(line)?.[1]),
    ['owner-sales@example.com', 'owner-sales@example.com'],
  )
})

/** The config of one relay with hosts, ports, certificates and folders of this test. */
function inSmall(dir: TempDir, name: string, ports: Readonly<Record<string, number>>): string {
  cpSync(example, dir.path, { recursive: true })
  const document = parseDocument(readFileSync(dir.join(`${name}.yaml`), 'utf8'))
  for (const [backend, port] of Object.entries(ports)) {
    const protocol = backend === 'out' ? 'smtp' : 'lmtp'
    document.setIn(['backends', backend, 'host'], '127.0.0.1')
    document.setIn(['backends', backend, protocol], port)
    for (const key of ['tls', 'imap', 'pop3', 'submission'])
      document.deleteIn(['backends', backend, key])
  }
  for (const key of ['tls', 'state_dir', 'run_dir']) document.delete(key)
  document.set('listen', { smtp: ['127.0.0.1:0'] })
  document.set('client_names', 'none')
  document.set('workers', 1)
  writeFileSync(dir.join('ca.pem'), '')
  return String(document)
}
