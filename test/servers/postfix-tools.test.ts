/** Postfix's own test programs on both sides of the relay: smtp-source sends, smtp-sink takes. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { freePorts } from '../../src/demo/free-port.ts'
import { relayOffersOf } from '../../src/daemon/relay/relay-offers.ts'
import { ask, deliver } from '../support/message.ts'
import { TestRelay } from '../support/relay.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'
import { runTool, skipWithout } from '../support/tools.ts'

const skip = skipWithout('smtp-source', 'smtp-sink')
const path = `${process.env['PATH'] ?? ''}:/usr/sbin`

interface RealSink extends AsyncDisposable {
  readonly port: number
  /** The messages that it has taken, each with what was said for it. */
  messages(): string[]
}

/** smtp-sink on a port of its own; its messages are files of `dir`. */
async function startSink(dir: TempDir, ...flags: readonly string[]): Promise<RealSink> {
  chmodSync(dir.path, 0o777)
  const [port = 0] = await freePorts(1)
  const privileges = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const files = ['-d', `${dir.path}/message.`]
  const args = [...privileges, ...flags, ...files, `127.0.0.1:${port}`, '10']
  const env = { PATH: path, LANG: 'C.UTF-8' }
  const child: ChildProcess = spawn('smtp-sink', args, { env, cwd: dir.path, stdio: 'ignore' })
  await listening(port)
  return {
    port,
    messages: () =>
      readdirSync(dir.path)
        .filter((name) => name.startsWith('message.'))
        .map((name) => readFileSync(dir.join(name), 'latin1')),
    [Symbol.asyncDispose]: async () => {
      child.kill()
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

async function listening(port: number): Promise<void> {
  const signal = AbortSignal.timeout(10_000)
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect', { signal }).then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await setImmediate(undefined, { signal })
  }
}

test('smtp-sink is asked what it offers, and sent what it takes, XCLIENT included', {
  skip,
}, async () => {
  using dir = tempDir()
  await using sink = await startSink(dir)
  await using relay = await TestRelay.start({
    backends: { fritz: `smtp: ${sink.port}, client_address: xclient` },
    routes: { 'ann@example.com': route('ann') },
    offered: 'unknown',
    config: 'trusted_proxies: [127.0.0.1]\n',
  })
  await relayOffersOf(relay.runtime).ask()
  const { offers } = await relay.runtime.waitFor('backend.offers')
  for (const word of ['PIPELINING', '8BITMIME']) {
    assert.ok(offers.includes(word), `${word}: ${offers.join()}`)
  }
  using client = await relay.client()
  await ask(client, 'XCLIENT ADDR=192.0.2.7 NAME=mail.example.net HELO=h.example.net', 'EHLO p')
  const envelope = ['MAIL FROM:<bob@example.net> BODY=8BITMIME', 'RCPT TO:<ann@example.com>']
  assert.match(await deliver(client, ...envelope), /^250 /)
  const [message = ''] = sink.messages()
  assert.match(message, /^X-Mail-Args: <bob@example\.net> BODY=8BITMIME$/m)
  assert.match(message, /^Received: from h\.example\.net \(mail\.example\.net \[192\.0\.2\.7\]\)/m)
})

for (const flags of [[], ['-L']]) {
  const spoken = flags.length === 0 ? 'SMTP' : 'LMTP'
  test(`smtp-source brings messages by LMTP to smtp-sink, which speaks ${spoken}`, {
    skip,
  }, async () => {
    using dir = tempDir()
    await using sink = await startSink(dir, ...flags)
    const protocol = flags.length === 0 ? 'smtp' : 'lmtp'
    const names = ['ann', '2ann', '3ann']
    await using relay = await TestRelay.start({
      protocol: 'lmtp',
      backends: { fritz: `${protocol}: ${sink.port}` },
      routes: Object.fromEntries(names.map((name) => [`${name}@example.com`, route(name)])),
    })
    const load = ['-L', '-s', '2', '-m', '6', '-r', '3', '-l', '2000']
    const envelope = ['-f', 'bob@example.net', '-t', 'ann@example.com']
    const server = `127.0.0.1:${relay.port}`
    const { code, stderr } = await runTool(dir.path, 'smtp-source', [...load, ...envelope, server])
    assert.equal(code, 0, stderr)
    assert.equal(sink.messages().length, 6)
    for (const message of sink.messages()) {
      assert.equal(message.match(/^X-Rcpt-Args: <\d?ann@example\.com>$/gm)?.length, 3)
    }
  })
}

function route(name: string) {
  const address = `${name}@example.com`
  return {
    result: 'route',
    user: address,
    destination: { address, backend: 'fritz', login: address },
  } as const
}
