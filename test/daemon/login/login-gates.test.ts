/** A back-end that everybody wants at once, or that is slow, and the users of others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoginService } from '../../../src/config/config.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginServices, loginWords } from '../../support/login-words.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { answer, base64, challenge, hearFirst, said, saslWords } from '../../support/sasl-login.ts'
import { ScramClient, ScramServer } from '../../support/scram.ts'
import { routeTo } from '../../support/test-runtime.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { certificate } = tlsParties()
const words = loginWords.imap

function startFront(options: Partial<FrontEndOptions>): Promise<FrontEnd> {
  return FrontEnd.start({
    service: 'imap',
    config: ['workers: 1'],
    routes: {
      'ann@example.com': routeTo('fritz', 'ann@example.com'),
      'bob@example.com': routeTo('ingrid', 'bob@example.com'),
    },
    ...options,
  })
}

async function begin(front: FrontEnd, login = 'ann'): Promise<Peer> {
  const client = await front.connect()
  await client.expect(words.greeting)
  return client.send(`b LOGIN ${login} secret\r\n`)
}

test('a herd comes to its back-end a few at a time, and all get in', async () => {
  let [atOnce, most] = [0, 0]
  await using backend = await ScriptedBackend.start(async (peer) => {
    most = Math.max(most, ++atOnce)
    await new Promise((resolve) => setImmediate(resolve))
    peer.send(words.backendGreeting)
    await peer.line()
    atOnce--
    peer.send('L OK [CAPABILITY IMAP4rev1] Logged in\r\n')
    await peer.end()
  })
  await using front = await startFront({
    backendPort: backend.port,
    backendLines: ['logins: 7'],
  })
  const herd = await Promise.all(Array.from({ length: 150 }, () => begin(front)))
  for (const client of herd) await client.expect(words.accepted)
  assert.ok(most <= 7 && most > 1, `${most}`)
  assert.deepEqual(front.runtime.eventsOf('backend'), [])
})

test('who waits in vain is told to come again; users of other back-ends, and those inside, notice nothing', async () => {
  await using silent = await ScriptedBackend.start(() => new Promise(() => undefined))
  await using other = await ScriptedBackend.start(async (peer) => {
    peer.send(words.backendGreeting)
    await serveLogin(peer, { service: 'imap', certificate })
    await peer.end()
  })
  await using front = await startFront({
    backendPort: silent.port,
    secondPort: other.port,
    backendLines: ['logins: 2'],
  })
  using first = await begin(front)
  using second = await begin(front)
  await silent.peerNumber(1)
  using third = await begin(front)
  using bob = await begin(front, 'bob')
  await bob.expect(words.accepted)
  await third.expect(words.unavailable)
  const { step, reason } = await front.runtime.waitFor('backend')
  assert.deepEqual([step, reason, silent.peers.length], ['connect', 'crowded', 2])
  assert.deepEqual([first.unread, second.unread], ['', ''])
  // Who leaves gives its place to who waits.
  using fourth = await begin(front)
  first[Symbol.dispose]()
  await silent.peerNumber(2)
  assert.equal(fourth.unread, '')
})

/** In how many seconds each of a herd is told to come again, whose back-end is held by another. */
async function secondsTold(service: LoginService): Promise<number[]> {
  const { greeting, logIn, unavailable } = loginWords[service]
  await using silent = await ScriptedBackend.start(() => new Promise(() => undefined))
  const backendLines = ['logins: 1']
  await using front = await startFront({ service, backendPort: silent.port, backendLines })
  const logInAgain = async (): Promise<Peer> => {
    const client = await front.connect()
    await client.expect(greeting)
    return client.send(logIn('ann', 'secret'))
  }
  await logInAgain()
  await silent.peerNumber(0)
  const herd = await Promise.all(Array.from({ length: 40 }, logInAgain))
  return await Promise.all(
    herd.map(async (client) => {
      const [told] = await client.expect(unavailable)
      return Number(/ try again in (\d+) seconds\./.exec(told)?.[1])
    }),
  )
}

test('of a herd that waits in vain each is told another time to come again', async () => {
  const told = await Promise.all(loginServices.map(secondsTold))
  for (const seconds of told) {
    assert.ok(Math.min(...seconds) >= 5 && Math.max(...seconds) <= 35, seconds.join(' '))
    assert.ok(new Set(seconds).size > 10, seconds.join(' '))
  }
})

test('who lets its back-end wait for an answer takes no place from others', async () => {
  await using backend = await ScriptedBackend.start(async (peer, number) => {
    if (number > 0) {
      peer.send('* OK [CAPABILITY IMAP4rev1] hi\r\n')
      await serveLogin(peer, { service: 'imap', certificate })
    } else {
      const first = await hearFirst(peer, 'imap')
      peer.send(said('imap', new ScramServer('SCRAM-SHA-1', 'pencil').answer(first)))
    }
    await peer.end()
  })
  await using front = await startFront({
    backendPort: backend.port,
    backendLines: ['logins: 1'],
    mechanisms: ['SCRAM-SHA-1'],
  })
  using slow = await front.connect()
  await slow.expect(words.greeting)
  const scram = new ScramClient('SCRAM-SHA-1', 'ann@example.com', 'pencil')
  slow.send(saslWords.imap.start('SCRAM-SHA-1', scram.first))
  const question = await challenge(slow)
  using quick = await begin(front)
  await quick.expect(words.accepted)
  slow.send(answer('imap', base64(scram.answer(question))))
})
