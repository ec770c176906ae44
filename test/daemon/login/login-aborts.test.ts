/**
 * Clients that leave at each step of a SASL exchange. `LOGIN_ABORTS=10000` has so many of them leave
 * each service.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { FrontEnd } from '../../support/front-end.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import {
  answer,
  base64,
  challenge,
  greeted,
  hear,
  said,
  saslServices,
  type SaslService,
  saslWords,
} from '../../support/sasl-login.ts'
import { ScramClient, ScramServer } from '../../support/scram.ts'
import { routeTo } from '../../support/test-runtime.ts'

const aborts = Number(process.env['LOGIN_ABORTS'] ?? 400)
const atOnce = 20
const names = 'PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER XOAUTH2'
const bearerError = '{"status":"invalid_token"}'

/** A back-end that asks on where there is more to ask, and never comes to a verdict. */
async function ask(peer: Peer, service: SaslService): Promise<void> {
  await saslWords[service].greet(peer, names)
  for (;;) {
    const line = await peer.line()
    const [, mechanism, initial] = /(SCRAM-SHA-256|OAUTHBEARER|XOAUTH2)"? ?(\S*)$/.exec(line) ?? []
    if (mechanism === undefined) continue
    // By one literal, one quoted string or as it is; or asked for.
    let first = Buffer.from(initial?.replaceAll('"', '') ?? '', 'base64').toString('latin1')
    if (/^\{\d+\+\}$/.test(initial ?? '')) {
      first = Buffer.from(await peer.line(), 'base64').toString('latin1')
    } else if (initial === '') {
      peer.send(said(service, ''))
      first = await hear(peer, service)
    }
    const isScram = mechanism.startsWith('SCRAM')
    const next = isScram ? new ScramServer('SCRAM-SHA-256', 'pencil').answer(first) : bearerError
    peer.send(said(service, next))
  }
}

type Step = (client: Peer, service: SaslService, login: string) => Promise<unknown>

function bearer(login: string): string {
  return `n,a=${login},\x01auth=Bearer tok\x01\x01`
}

async function scramUntilAsked(client: Peer, service: SaslService, login: string): Promise<string> {
  const scram = new ScramClient('SCRAM-SHA-256', login, 'pencil')
  client.send(saslWords[service].start('SCRAM-SHA-256', scram.first))
  return scram.answer(await challenge(client))
}

async function asked(client: Peer, service: SaslService, mechanism: string): Promise<void> {
  client.send(saslWords[service].begin(mechanism))
  await challenge(client)
}

/** How far a client comes that leaves then. */
const steps: Readonly<Record<string, Step>> = {
  'PLAIN, asked for all': (client, service) => asked(client, service, 'PLAIN'),
  'PLAIN, half said': async (client, service, login) => {
    await asked(client, service, 'PLAIN')
    client.send(base64(`\0${login}\0secret`).slice(0, 9))
  },
  'PLAIN, all said': async (client, service, login) => {
    client.send(saslWords[service].start('PLAIN', `\0${login}\0secret`))
  },
  'LOGIN, asked for the name': (client, service) => asked(client, service, 'LOGIN'),
  'LOGIN, asked for the password': async (client, service, login) => {
    await asked(client, service, 'LOGIN')
    client.send(answer(service, base64(login)))
    await challenge(client)
  },
  'SCRAM, asked for the first': (client, service) => asked(client, service, 'SCRAM-SHA-256'),
  'SCRAM, first said': async (client, service, login) => {
    const scram = new ScramClient('SCRAM-SHA-256', login, 'pencil')
    client.send(saslWords[service].start('SCRAM-SHA-256', scram.first))
  },
  'SCRAM, asked for the proof': scramUntilAsked,
  'SCRAM, proof said': async (client, service, login) => {
    client.send(answer(service, base64(await scramUntilAsked(client, service, login))))
  },
  'SCRAM, taken back': async (client, service, login) => {
    await scramUntilAsked(client, service, login)
    client.send(answer(service, '*'))
    await client.expect(saslWords[service].cancelled)
  },
  'OAUTHBEARER, told of an error': async (client, service, login) => {
    client.send(saslWords[service].start('OAUTHBEARER', bearer(login)))
    await challenge(client)
  },
  'XOAUTH2, token said': async (client, service, login) => {
    const token = `user=${login}\x01auth=Bearer tok\x01\x01`
    client.send(saslWords[service].start('XOAUTH2', token))
  },
}

/** So many clients, some at once, each at the next step: by a reset and, in the next round, by an end. */
async function abort(front: FrontEnd, service: SaslService, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, number) => number).values()
  const all = Object.entries(steps)
  const work = async (): Promise<void> => {
    for (const number of numbers) {
      const [what, take] = all[number % all.length] ?? []
      assert.ok(take !== undefined)
      using client = await greeted(await front.connect(), service)
      await take(client, service, users[number % users.length] ?? '').catch((cause: unknown) => {
        throw new Error(what, { cause })
      })
      if (Math.floor(number / all.length) % 2 === 0) client.socket.resetAndDestroy()
      else client.socket.end()
      await client.end()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  await front.runtime.idle()
}

/** Many, since who fails often by one name is slowed down. */
const users = Array.from({ length: 1000 }, (_, number) => `u${number}@example.com`)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** In bytes, of what lives: without what a test remembers of sessions that are over. */
async function heapBytes(front: FrontEnd, backend: ScriptedBackend): Promise<number> {
  for (const { closed, socket } of backend.peers) if (!closed) await once(socket, 'close')
  backend.peers.length = 0
  front.runtime.events.length = 0
  for (let times = 0; times < 3; times++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  return process.memoryUsage().heapUsed
}

for (const service of saslServices) {
  test(`${service}: clients that leave within an exchange leave nothing behind`, async () => {
    await using backend = await ScriptedBackend.start((peer) =>
      ask(peer, service).catch(() => undefined),
    )
    await using front = await FrontEnd.start({
      service,
      backendPort: backend.port,
      // A place that is not given back is missed by others.
      backendLines: [`logins: ${atOnce}`],
      config: ['workers: 1'],
      mechanisms: names.split(' '),
      limits: { auth_failure_delay: '1ms' },
      routes: Object.fromEntries(users.map((user) => [user, routeTo('fritz', user)])),
    })
    await abort(front, service, 240)
    const before = await heapBytes(front, backend)
    await abort(front, service, aborts)
    assert.deepEqual(front.runtime.eventsOf('internal'), [])
    assert.deepEqual(front.runtime.eventsOf('backend'), [])
    const grown = (await heapBytes(front, backend)) - before
    // What the engine itself keeps comes and goes by as much.
    assert.ok(grown < 1024 * 1024 + aborts * 100, `${grown} bytes`)
  })
}
