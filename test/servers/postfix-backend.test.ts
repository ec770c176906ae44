/** Postfix as a back-end: what it is told of clients and asked for them is what it understands. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayOffersOf } from '../../src/daemon/relay/relay-offers.ts'
import { ask, deliver } from '../support/message.ts'
import { Postfix, skipWithoutPostfix } from '../support/postfix.ts'
import { TestRelay } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'
import { routeTo } from '../support/test-runtime.ts'

const skip = skipWithoutPostfix()
const address = 'bücher@example.com'

test('Postfix is told of clients in each way that it knows, and takes every parameter', {
  skip,
}, async () => {
  using dir = tempDir()
  await using postfix = await Postfix.start(dir)
  const ways = [
    ['xclient', postfix.port, /client=mail\.example\.net\[192\.0\.2\.7\]/],
    ['xforward', postfix.port, /orig_client=mail\.example\.net\[192\.0\.2\.7\]/],
    ['proxy-v1', postfix.proxyPort, /client=\S+\[192\.0\.2\.8\]/],
    ['proxy-v2', postfix.proxyPort, /client=\S+\[192\.0\.2\.9\]/],
  ] as const
  for (const [index, [way, port, logged]] of ways.entries()) {
    await using relay = await TestRelay.start({
      backends: { fritz: `smtp: ${port}, client_address: ${way}` },
      routes: { [address]: routeTo('fritz', address) },
      offered: 'unknown',
      config: 'trusted_proxies: [127.0.0.1]\n',
    })
    await relayOffersOf(relay.runtime).ask()
    const { offers } = await relay.runtime.waitFor('backend.offers')
    assert.deepEqual(offers, ['PIPELINING', 'SIZE 10240000', '8BITMIME', 'SMTPUTF8', 'DSN'])
    using client = await relay.client()
    const host = index < 2 ? 7 : index + 6
    const name = index < 2 ? ' NAME=mail.example.net' : ''
    await ask(client, `XCLIENT ADDR=192.0.2.${host} PORT=4242${name} HELO=h.example.net`, 'EHLO p')
    const mail = 'MAIL FROM:<ü@example.net> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2Bx'
    const rcpt = `RCPT TO:<${address}> NOTIFY=FAILURE ORCPT=utf-8;${address}`
    assert.match(await deliver(client, mail, rcpt), /^250 2\.0\.0 Ok/)
    await postfix.logged(logged)
    // By XCLIENT and PROXY Postfix offers less afterwards: that is no change of what it offers.
    assert.equal(relay.runtime.eventsOf('backend.offers').length, 1)
  }
  await postfix.logged(/to=<bücher@example\.com>, orig_to=|to=<bücher@example\.com>/)
})
