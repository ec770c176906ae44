/** What ManageSieve clients are told before their login, as the back-ends come and go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginOffersOf, offersFollowing } from '../../src/daemon/login/login-offers.ts'
import { commonOffers } from '../../src/protocol/sieve/offers.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { TestRuntime } from '../support/test-runtime.ts'

function backendWith(extensions: () => string) {
  return ScriptedBackend.start(async (peer: Peer) => {
    peer.send(`"SASL" "PLAIN"\r\n"SIEVE" "${extensions()}"\r\nOK\r\n`)
    assert.equal(await peer.line(), 'LOGOUT')
  })
}

test('extensions that all back-ends have are told, those of one that fails as they were', async () => {
  let mood = 'fileinto reject'
  await using fritz = await backendWith(() => mood)
  await using ingrid = await backendWith(() => 'fileinto vacation reject')
  const config = (more: string) => `hostname: mx.example.com
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, sieve: ${fritz.port}}
  ingrid: {host: 127.0.0.1, sieve: ${ingrid.port}}
  paul: {host: 127.0.0.1, imap: 1}${more}
`
  const runtime = new TestRuntime({ config: config('') })
  const offers = loginOffersOf(runtime, 'sieve')
  const offersFor = offersFollowing('sieve', commonOffers)
  const told = () => offersFor(runtime).extensions
  assert.equal(told(), 'fileinto', 'nothing is known')
  await offers.ask()
  assert.equal(told(), 'fileinto reject')
  const changes = () =>
    runtime.eventsOf('backend.offers').map(({ backend, protocol, offers: offered }) => {
      const extensions = offered.find((text) => text.startsWith('SIEVE'))
      return `${backend} ${protocol}: ${extensions}`
    })
  assert.deepEqual(
    new Set(changes()),
    new Set(['fritz sieve: SIEVE fileinto reject', 'ingrid sieve: SIEVE fileinto vacation reject']),
  )
  mood = 'fileinto'
  await offers.ask()
  assert.equal(told(), 'fileinto')
  assert.deepEqual(changes().slice(2), ['fritz sieve: SIEVE fileinto'])
  mood = '"\r\nBYE "full'
  await offers.ask()
  assert.equal(told(), 'fileinto', 'what was seen last counts')
  assert.equal(changes().length, 3)

  // One that was never reached: nothing can be sent there, so it takes nothing away.
  const withNew = new TestRuntime({ config: config('\n  rosa: {host: 127.0.0.1, sieve: 1}') })
  runtime.current = withNew.current
  assert.equal(told(), 'fileinto', 'it has not been asked')
  await offers.ask()
  assert.equal(told(), 'fileinto')
  mood = 'reject fileinto'
  await offers.ask()
  assert.equal(told(), 'reject fileinto')
})
