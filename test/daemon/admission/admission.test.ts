import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config, Service } from '../../../src/config/config.ts'
import { Admission } from '../../../src/daemon/admission/admission.ts'
import { BoardKeeper, openBoards } from '../../../src/daemon/admission/boards.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { parseTestConfig } from '../../support/test-runtime.ts'

interface Host {
  /** The workers of a host. */
  readonly workers: readonly Admission[]
  /** Lets one in by the worker of that number; the reason where it is not, else what its end calls. */
  readonly enter: (
    address: string,
    worker?: number,
    service?: Service,
    now?: number,
  ) => string | (() => void)
}

function configWith(limits: string): Config {
  const backends = 'backends: {fritz: {host: ::1, smtp: 25}}'
  return parseTestConfig(
    `hostname: mx.example.com\ndomains: [example.com]\n${backends}\nlimits: ${limits}\n`,
  )
}

/** `limits` in YAML's flow style. */
async function withHost(limits: string, use: (host: Host) => void): Promise<void> {
  using dir = tempDir()
  using keeper = await BoardKeeper.create({ runDir: dir.join('.'), workers: 2 })
  const config = configWith(limits)
  const workers = [0, 1].map(() => {
    const share = keeper.take()
    assert.ok(share)
    const admission = new Admission(openBoards(share, keeper))
    admission.use(config)
    return admission
  })
  use({
    workers,
    enter: (address, worker = 0, service = 'smtp', now = 0) => {
      const admitted = workers[worker]?.enter(service, address, now)
      assert.ok(admitted)
      return admitted.ok ? (admitted.leave ?? (() => undefined)) : admitted.reason
    },
  })
}

function isIn(entered: string | (() => void)): boolean {
  return typeof entered !== 'string'
}

function leave(entered: string | (() => void) | undefined): void {
  if (typeof entered === 'function') entered()
}

test('an address has its sessions over all workers, for each service', async () => {
  await withHost('{sessions_per_ip: 3}', ({ enter }) => {
    const entered = enter('192.0.2.1', 0)
    assert.ok(isIn(enter('192.0.2.1', 1)))
    assert.ok(isIn(enter('::ffff:192.0.2.1', 0)))
    assert.equal(enter('192.0.2.1', 0), 'ip_limit')
    assert.equal(enter('192.0.2.1', 1), 'ip_limit')
    assert.ok(isIn(enter('192.0.2.1', 0, 'imap')))
    assert.ok(isIn(enter('192.0.2.2', 0)))
    leave(entered)
    assert.ok(isIn(enter('192.0.2.1', 1)))
    assert.equal(enter('192.0.2.1', 1), 'ip_limit')
  })
})

test('of IPv6 a /64 counts as one address, and a /48 may have four times as many', async () => {
  await withHost('{sessions_per_ip: {smtp: 2}}', ({ enter }) => {
    assert.ok(isIn(enter('2001:db8:1:1::1')))
    assert.ok(isIn(enter('2001:db8:1:1:ffff::2')))
    assert.equal(enter('2001:db8:1:1::3'), 'ip_limit')
    for (const net of ['2', '3', '4']) {
      assert.ok(isIn(enter(`2001:db8:1:${net}::1`)))
      assert.ok(isIn(enter(`2001:db8:1:${net}::2`)))
    }
    assert.equal(enter('2001:db8:1:5::1'), 'ip_limit')
    assert.ok(isIn(enter('2001:db8:2:5::1')))
  })
})

test('what was refused is not counted', async () => {
  await withHost('{sessions_per_ip: 1}', ({ enter }) => {
    const entered = enter('192.0.2.1')
    for (let tries = 0; tries < 10; tries++) assert.equal(enter('192.0.2.1', tries % 2), 'ip_limit')
    leave(entered)
    assert.ok(isIn(enter('192.0.2.1', 1)))
  })
})

test('exempt networks and this host have no limits, and 0 is none for anybody', async () => {
  await withHost('{sessions_per_ip: 1, connections_per_ip: 1/hour}', ({ enter }) => {
    for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
      for (let count = 0; count < 3; count++) assert.ok(isIn(enter(address)), address)
    }
  })
  await withHost('{sessions_per_ip: 1, exempt: ["192.0.2.0/24", "2001:db8::/32"]}', ({ enter }) => {
    for (const address of ['192.0.2.9', '2001:db8::1']) {
      for (let count = 0; count < 3; count++) assert.ok(isIn(enter(address)), address)
    }
    assert.ok(isIn(enter('127.0.0.1')))
    assert.equal(enter('127.0.0.1'), 'ip_limit')
  })
  await withHost('{sessions_per_ip: {smtp: 0}}', ({ enter }) => {
    for (let count = 0; count < 100; count++) assert.ok(isIn(enter('192.0.2.1')))
  })
})

test('without a word about it an address may have 50 sessions of SMTP, and 500 of the others', async () => {
  await withHost('{}', ({ enter }) => {
    for (let count = 0; count < 50; count++) assert.ok(isIn(enter('192.0.2.1', count % 2)))
    assert.equal(enter('192.0.2.1'), 'ip_limit')
    for (let count = 0; count < 500; count++) assert.ok(isIn(enter('192.0.2.1', count % 2, 'imap')))
    assert.equal(enter('192.0.2.1', 0, 'imap'), 'ip_limit')
  })
})

test('connections in a time are counted over all workers, and the time slides', async () => {
  await withHost('{connections_per_ip: 10/minute}', ({ enter }) => {
    const at = (second: number): boolean =>
      isIn(enter('192.0.2.1', second % 2, 'smtp', 6_000_000 + second * 1000))
    for (let second = 50; second < 60; second++) assert.ok(at(second), `${second}`)
    // Five minutes of a fresh period would let ten more in at once.
    assert.equal(enter('192.0.2.1', 0, 'smtp', 6_060_000), 'conn_rate')
    assert.ok(isIn(enter('192.0.2.2', 0, 'smtp', 6_060_000)))
    assert.ok(at(100))
    assert.ok(at(200))
  })
})

test('a site of IPv6 has four times the connections, messages and recipients of an address', async () => {
  const limits =
    '{connections_per_ip: 2/hour, messages_per_ip: 2/hour, recipients_per_ip: 2/hour, sessions_per_ip: 0}'
  await withHost(limits, ({ enter, workers: [one] }) => {
    for (let net = 1; net <= 8; net++) {
      assert.ok(isIn(enter(`2001:db8:1:${net}::1`)), `${net}`)
      assert.equal(one?.isMessageOver(`2001:db8:1:${net}::1`, 7), false)
      assert.equal(one?.isRecipientOver(`2001:db8:1:${net}::1`, 7), false)
    }
    assert.equal(enter('2001:db8:1:9::1'), 'conn_rate')
    assert.equal(one?.isMessageOver('2001:db8:1:9::1', 7), true)
    assert.equal(one?.isRecipientOver('2001:db8:1:9::1', 7), true)
    assert.ok(isIn(enter('2001:db8:2:9::1')))
  })
})

test('of more addresses than there is room for, nobody is refused who has not had its sessions', async () => {
  await withHost('{sessions_per_ip: 1}', ({ enter }) => {
    const addresses = Array.from(
      { length: 30_000 },
      (_, n) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
    )
    const first = addresses.map((address) => enter(address))
    assert.ok(first.every(isIn))
    const again = addresses.map((address) => enter(address))
    const uncounted = addresses.flatMap((address, n) =>
      isIn(again[n] ?? '') ? [{ address, n }] : [],
    )
    assert.ok(uncounted.length > 100 && uncounted.length < 10_000, `${uncounted.length}`)
    const places = new Set(uncounted.map(({ n }) => n))
    for (const n of addresses.keys()) if (!places.has(n)) leave(first[n])
    // Now there is room for those who had none, and it is not theirs who end now.
    for (const { address } of uncounted) assert.ok(isIn(enter(address)))
    for (const { n } of uncounted) {
      leave(first[n])
      leave(again[n])
    }
    const counted = uncounted.filter(({ address }) => enter(address) === 'ip_limit')
    // Again more than there is room for met at some place.
    assert.ok(counted.length > uncounted.length * 0.9, `${counted.length}`)
  })
})

test('a worker for whom there is no column counts for itself', async () => {
  using dir = tempDir()
  using keeper = await BoardKeeper.create({ runDir: dir.join('.'), workers: 1 })
  const shares = Array.from({ length: 100 }, () => keeper.take())
  assert.equal(shares.at(-1), undefined)
  const admission = new Admission(openBoards(undefined))
  admission.use(configWith('{sessions_per_ip: 1}'))
  assert.ok(admission.enter('smtp', '192.0.2.1', 0).ok)
  assert.ok(!admission.enter('smtp', '192.0.2.1', 0).ok)
  const [share] = shares
  assert.ok(share)
  keeper.giveBack(share)
  assert.deepEqual(keeper.take(), share)
})

test('networks that are trusted about others have no limits of their own', async () => {
  await withHost(
    '{sessions_per_ip: 1, exempt: []}\ntrusted_proxies: [198.51.100.0/24]',
    ({ enter }) => {
      for (let count = 0; count < 3; count++) assert.ok(isIn(enter('198.51.100.7')))
      assert.ok(isIn(enter('127.0.0.1')))
      assert.equal(enter('127.0.0.1'), 'ip_limit')
    },
  )
})

test('messages and recipients have limits of their own', async () => {
  await withHost(
    '{messages_per_ip: 2/hour, recipients_per_ip: 3/hour}',
    ({ workers: [one, two] }) => {
      const over = [one, two, one].map((worker) => worker?.isMessageOver('192.0.2.1', 7))
      assert.deepEqual(over, [false, false, true])
      const more = [one, two, one, two].map((worker) => worker?.isRecipientOver('192.0.2.1', 7))
      assert.deepEqual(more, [false, false, false, true])
      assert.equal(one?.isMessageOver('127.0.0.1', 7), false)
      assert.equal(one?.isMessageOver('192.0.2.1', 3 * 3_600_000), false)
    },
  )
})
