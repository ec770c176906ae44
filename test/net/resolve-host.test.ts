import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HostResolver, type Query } from '../../src/net/resolve-host.ts'

type Answer = Parameters<Query>[1]

/** A resolver whose questions are answered by hand and whose clock stands still until moved. */
function setup() {
  const asked: { host: string; answer: Answer }[] = []
  const clock = { ms: 0 }
  const resolver = new HostResolver(
    (host, answer) => void asked.push({ host, answer }),
    () => clock.ms,
  )
  const heard: string[] = []
  const ask = (host = 'fritz.example.com'): void => {
    resolver.resolve(host, (error, addresses) => {
      heard.push(error === null ? addresses.map(({ address }) => address).join() : error.message)
    })
  }
  return { asked, clock, heard, ask, resolver }
}

const address = (text: string) => ({ address: text, family: 4 })

test('one question per name is under way, whoever asks meanwhile', () => {
  const { asked, heard, ask } = setup()
  ask()
  ask()
  ask('ingrid.example.com')
  assert.deepEqual(
    asked.map(({ host }) => host),
    ['fritz.example.com', 'ingrid.example.com'],
  )
  asked[0]?.answer(null, [address('192.0.2.1'), address('192.0.2.2')])
  assert.deepEqual(heard, ['192.0.2.1,192.0.2.2', '192.0.2.1,192.0.2.2'])
})

test('an answer is used again while it is fresh, then asked for anew', () => {
  const { asked, heard, ask, clock } = setup()
  ask()
  asked[0]?.answer(null, [address('192.0.2.1')])
  clock.ms = 29_000
  ask()
  assert.equal(asked.length, 1)
  clock.ms = 31_000
  ask()
  asked[1]?.answer(null, [address('192.0.2.9')])
  assert.deepEqual(heard, ['192.0.2.1', '192.0.2.1', '192.0.2.9'])
})

test('the last good addresses serve while the resolver fails or is silent', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { asked, heard, ask, clock } = setup()
  ask()
  asked[0]?.answer(null, [address('192.0.2.1')])
  clock.ms = 60_000
  ask()
  asked[1]?.answer(new Error('SERVFAIL'), [])
  ask()
  t.mock.timers.tick(2_000)
  assert.deepEqual(heard, ['192.0.2.1', '192.0.2.1', '192.0.2.1'])
  // The answer that comes late is for the next one, and nobody is told twice.
  asked[2]?.answer(null, [address('192.0.2.2')])
  ask()
  assert.deepEqual(heard.slice(3), ['192.0.2.2'])
})

test('old addresses are not used for ever', () => {
  const { asked, heard, ask, clock } = setup()
  ask()
  asked[0]?.answer(null, [address('192.0.2.1')])
  clock.ms = 86_400_001
  ask()
  asked[1]?.answer(new Error('SERVFAIL'), [])
  assert.deepEqual(heard, ['192.0.2.1', 'SERVFAIL'])
})

test('a failure is told to all that wait, and asked again the next time', () => {
  const { asked, heard, ask } = setup()
  ask()
  ask()
  asked[0]?.answer(new Error('ENOTFOUND'), [])
  ask()
  assert.deepEqual(heard, ['ENOTFOUND', 'ENOTFOUND'])
  assert.equal(asked.length, 2)
})

test('a name without any address is an error to the connection', () => {
  const { asked, resolver } = setup()
  const codes: (string | undefined)[] = []
  resolver.lookup('fritz.example.com', { all: true }, (error) => codes.push(error?.code))
  asked[0]?.answer(null, [])
  assert.deepEqual(codes, ['ENOTFOUND'])
})
