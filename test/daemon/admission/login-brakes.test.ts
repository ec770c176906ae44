import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoardKeeper, openBoards } from '../../../src/daemon/admission/boards.ts'
import { LoginBrakes } from '../../../src/daemon/admission/login-brakes.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { parseTestConfig } from '../../support/test-runtime.ts'

interface Host {
  /** The brakes of two workers. */
  readonly one: LoginBrakes
  readonly two: LoginBrakes
}

const start = 6_000_000_000

/** `limits` in YAML's flow style. */
async function withHost(limits: string, use: (host: Host) => void): Promise<void> {
  using dir = tempDir()
  using keeper = await BoardKeeper.create({ runDir: dir.join('.'), workers: 2 })
  const backends = 'backends: {fritz: {host: ::1, imap: 143}}'
  const config = parseTestConfig(
    `hostname: mx.example.com\ndomains: [example.com]\n${backends}\nlimits: ${limits}\n`,
  )
  const [one, two] = [0, 1].map(() => {
    const share = keeper.take()
    assert.ok(share)
    const brakes = new LoginBrakes(openBoards(share, keeper), Buffer.from(share.secret, 'base64'))
    brakes.use(config)
    return brakes
  })
  assert.ok(one && two)
  use({ one, two })
}

let secrets = 0
const fresh = (): string => `guess ${secrets++}`

function tried(address: string, login: string, secret: string | undefined = fresh()) {
  return { address, login, secret }
}

test('failures of an address count over all workers and names, and are forgotten in time', async () => {
  await withHost('{}', ({ one, two }) => {
    const address = '192.0.2.1'
    assert.equal(one.failed(tried(address, 'ann'), start), 0)
    assert.equal(two.failed(tried(address, 'bob'), start), 1)
    assert.equal(one.failed(tried(address, 'carol'), start), 2)
    assert.equal(one.failed(tried('::ffff:192.0.2.1', 'dave'), start), 3)
    assert.equal(one.failed({ address, login: undefined, secret: undefined }, start), 4)
    assert.equal(two.failed(tried('192.0.2.2', 'erin'), start), 0)
    assert.equal(two.failed(tried(address, 'frank'), start + 240_000), 0)
  })
})

test('failures under a name count from all addresses, whoever has it and however it is written', async () => {
  await withHost('{}', ({ one, two }) => {
    for (const name of ['ann', 'Nobody', 'x@elsewhere.example', 'a*b', 'ä'.repeat(4000)]) {
      for (let count = 0; count < 5; count++) {
        const brakes = count % 2 === 0 ? one : two
        const address = `198.51.100.${++secrets % 250}`
        assert.equal(brakes.failed(tried(address, name), start), count, name)
      }
    }
    assert.equal(one.failed(tried('203.0.113.1', 'ANN@example.com'), start), 5)
    assert.equal(one.failed(tried('203.0.113.2', 'ann+lists'), start), 6)
    assert.equal(one.failed(tried('203.0.113.3', 'nobody@EXAMPLE.com'), start), 5)
  })
})

test('of IPv6 a /64 counts as one address, and four failures of a /48 as one', async () => {
  await withHost('{}', ({ one, two }) => {
    assert.equal(one.failed(tried('2001:db8:1:1::1', 'a'), start), 0)
    assert.equal(two.failed(tried('2001:db8:1:1:ffff::2', 'b'), start), 1)
    for (let net = 2; net < 8; net++) one.failed(tried(`2001:db8:1:${net}::1`, `c${net}`), start)
    assert.equal(two.failed(tried('2001:db8:1:99::1', 'd'), start), 2)
    assert.equal(two.failed(tried('2001:db8:2:99::1', 'e'), start), 0)
  })
})

test('the same wrong password again makes nobody wait longer, and is not counted', async () => {
  await withHost('{auth_failures_per_ip: 3/minute}', ({ one, two }) => {
    const stale = tried('192.0.2.1', 'ann', 'old password')
    for (let count = 0; count < 20; count++) {
      assert.equal((count % 2 ? one : two).failed(stale, start + count), 0)
    }
    assert.equal(one.isBarred('192.0.2.1', start), false)
    assert.equal(one.failed(tried('192.0.2.1', 'ann'), start), 1)
    assert.equal(one.failed(tried('192.0.2.1', 'bob', 'old password'), start), 2)
    assert.equal(one.failed(stale, start), 2)
    assert.equal(one.failed(tried('192.0.2.9', 'zoe', undefined), start), 0)
    // A proof that cannot be compared is another each time.
    const proof = { address: '192.0.2.7', login: 'scram', secret: undefined }
    assert.deepEqual(
      [0, 1, 2].map(() => one.failed(proof, start)),
      [0, 1, 2],
    )
  })
})

test('a success takes back what slowed down its address and its name, also what other workers saw', async () => {
  await withHost('{auth_failures_per_ip: 6/hour}', ({ one, two }) => {
    const address = '2001:db8:1:1::1'
    const old = start - 120_000
    for (const brakes of [one, two]) {
      brakes.failed(tried(address, 'ann'), old)
      brakes.failed(tried(address, 'bob'), start)
    }
    two.succeeded(tried(address, 'ann'), start)
    assert.equal(one.failed(tried('192.0.2.8', 'ann'), start), 0)
    assert.equal(one.failed(tried('192.0.2.8', 'bob'), start), 2)
    assert.equal(one.failed(tried('2001:db8:1:2::1', 'carol'), start), 0)
    assert.equal(two.failed(tried(address, 'dave'), start), 0)
    assert.equal(two.failed(tried(address, 'erin'), start), 1)
    // What was taken back is taken back once.
    one.succeeded(tried('203.0.113.9', 'ann'), start)
    assert.equal(two.failed(tried('203.0.113.8', 'ann'), start), 0)
    assert.equal(two.failed(tried('203.0.113.7', 'ann'), start), 1)
    // The rate stays: who has an account here gets no more guesses by it.
    assert.equal(one.isBarred(address, start), true)
  })
})

test('an address beyond its rate is barred until that slides by; exempt ones never are', async () => {
  await withHost('{auth_failures_per_ip: 5/minute, exempt: [198.51.100.0/24]}', ({ one, two }) => {
    for (let count = 0; count < 5; count++) {
      assert.equal(two.isBarred('192.0.2.1', start), false)
      one.failed(tried('192.0.2.1', `user${count}`), start)
    }
    assert.equal(two.isBarred('192.0.2.1', start), true)
    assert.equal(two.isBarred('192.0.2.2', start), false)
    assert.equal(two.isBarred('192.0.2.1', start + 61_000), false)
    for (let count = 0; count < 50; count++) one.failed(tried('198.51.100.1', 'ann'), start)
    assert.equal(one.isBarred('198.51.100.1', start), false)
    // A webmail host is not slowed down for others, but its user is everywhere.
    assert.equal(one.failed(tried('198.51.100.1', 'bob'), start), 0)
    assert.equal(one.failed(tried('192.0.2.9', 'ann'), start), 50)
  })
})

test('an address has ten logins under way over all workers, a site of IPv6 forty', async () => {
  await withHost('{}', ({ one, two }) => {
    const places = Array.from({ length: 10 }, (_, n) => (n % 2 ? one : two).enter('192.0.2.1'))
    assert.ok(places.every((leave) => leave !== undefined))
    assert.equal(one.enter('192.0.2.1'), undefined)
    assert.equal(two.enter('192.0.2.1'), undefined)
    assert.ok(two.enter('192.0.2.2'))
    places[0]?.()
    assert.ok(one.enter('192.0.2.1'))
    assert.equal(two.enter('192.0.2.1'), undefined)
    for (let n = 0; n < 40; n++) assert.ok(one.enter(`2001:db8:1:${n % 8}::1`), `${n}`)
    assert.equal(two.enter('2001:db8:1:9::1'), undefined)
    for (let n = 0; n < 40; n++) assert.ok(one.enter('127.0.0.1'))
  })
})

test('10,000 names from 5,000 addresses take no more memory, and others are not slowed down', async () => {
  await withHost('{auth_failures_per_ip: 20/minute}', ({ one, two }) => {
    for (let n = 0; n < 10_000; n++) {
      const address = `10.0.${(n % 5000) >> 8}.${(n % 5000) & 255}`
      const before = (n % 2 ? one : two).failed(tried(address, `user${n}`), start)
      assert.ok(before <= 1, `${before}`)
    }
    assert.equal(one.failed(tried('192.0.2.77', 'ann'), start), 0)
    assert.equal(one.isBarred('192.0.2.77', start), false)
  })
})
