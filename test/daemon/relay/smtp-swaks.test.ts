/** The relay as a real client meets it: swaks, of Debian's package of that name. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { createServerTls } from '../../../src/net/tls.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { Sink, TestRelay } from '../../support/relay.ts'

interface Run {
  readonly code: number
  readonly output: string
}

/** One message by swaks; its exit code and its transcript. */
function swaks(port: number, ...args: readonly string[]): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>()
  const common = ['--server', '127.0.0.1', '--port', String(port), '--from', 'bob@example.net']
  const all = [...common, '--helo', 'client.example.net', ...args]
  execFile('swaks', all, { timeout: 20_000 }, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
    resolve({ code, output: stdout + stderr })
  })
  return promise
}

test('swaks delivers a message, in plain text and by STARTTLS, with PIPELINING too', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  const serverTls = createServerTls([makeAuthority().issue(['mx.example.com'])], 'TLSv1.2')
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    listener: 'tls: starttls',
    serverTls,
  })
  for (const extra of [[], ['--tls'], ['--pipeline'], ['--tls', '--pipeline']]) {
    const { code, output } = await swaks(relay.port, '--to', 'ann@example.com', ...extra)
    assert.equal(code, 0, output)
    assert.match(output, /<[-~]+ +250 2\.0\.0 stored/, output)
  }
  assert.equal(sink.stored.length, 4)
  for (const { data } of sink.stored) {
    assert.match(data, /^Received: from client\.example\.net \(\[127\.0\.0\.1\]\)\r\n/)
    assert.equal(data.match(/^Received: /gm)?.length, 1)
    assert.match(data, /^This is a test mailing\r\n/m)
  }
  assert.match(sink.stored[1]?.data ?? '', /with ESMTPS id/)
})

test('swaks is told of an unknown user and of a foreign one', async () => {
  await using relay = await TestRelay.start({ backends: { fritz: 9, ingrid: 9 } })
  const unknown = await swaks(relay.port, '--to', 'nobody@example.com')
  assert.match(unknown.output, /550 5\.1\.1 /)
  // swaks: no recipient was accepted.
  assert.equal(unknown.code, 24, unknown.output)
  const foreign = await swaks(relay.port, '--to', 'x@foreign.example')
  assert.match(foreign.output, /550 5\.7\.1 relaying denied/)
  assert.equal(foreign.code, 24)
})

test('swaks speaks for somebody else by XCLIENT, and is refused where it is not trusted', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  const backends = { fritz: fritz.port, ingrid: 9 }
  const told = ['--xclient', 'ADDR=192.0.2.7 NAME=mail.example.net HELO=origin.example.net']
  await using trusting = await TestRelay.start({
    backends,
    config: 'trusted_proxies: [127.0.0.1]\n',
  })
  const sent = await swaks(trusting.port, '--to', 'ann@example.com', ...told)
  assert.equal(sent.code, 0, sent.output)
  assert.match(
    sink.stored[0]?.data ?? '',
    /^Received: from origin\.example\.net \(mail\.example\.net \[192\.0\.2\.7\]\)/,
  )
  await using relay = await TestRelay.start({ backends })
  const refused = await swaks(relay.port, '--to', 'ann@example.com', ...told)
  assert.notEqual(refused.code, 0, refused.output)
  assert.equal(sink.stored.length, 1)
})

test('swaks delivers by LMTP', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    backends: { fritz: fritz.port, ingrid: 9 },
  })
  const to = ['--to', 'ann@example.com,amy@example.com']
  const { code, output } = await swaks(relay.port, '--protocol', 'LMTP', ...to)
  assert.equal(code, 0, output)
  assert.equal(output.match(/<[-~]+ +250 2\.0\.0 stored/g)?.length, 2, output)
  assert.match(sink.stored[0]?.data ?? '', /with LMTP id/)
})
