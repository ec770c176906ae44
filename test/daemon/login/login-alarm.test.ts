/** Guesses from everywhere: none of their addresses is slow, and the host says that they come. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { EventFields } from '../../../src/base/log.ts'
import { GuessCounts, sumGuesses } from '../../../src/daemon/admission/guess-counts.ts'
import { LoginAlarm } from '../../../src/daemon/login/login-alarm.ts'
import { buildMapOf, startDaemon } from '../../support/daemon.ts'
import { Peer } from '../../support/peer.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { parseTestConfig } from '../../support/test-runtime.ts'

const minuteMs = 60_000
const start = 100 * minuteMs

test('guesses are counted for a minute, by /24 and /48', () => {
  const counts = new GuessCounts()
  for (let last = 1; last <= 30; last++) counts.add(`192.0.2.${last}`, start)
  for (let last = 1; last <= 20; last++) counts.add(`2001:db8:7:${last}::${last}`, start)
  counts.add('::ffff:192.0.2.200', start)
  counts.add('', start)
  assert.deepEqual(counts.report(start), {
    guesses: 52,
    networks: [
      ['192.0.2.0/24', 31],
      ['2001:db8:7::/48', 20],
      ['unknown', 1],
    ],
  })
  counts.add('198.51.100.1', start + minuteMs)
  const half = counts.report(start + 1.5 * minuteMs)
  assert.equal(half.guesses, 27)
  assert.deepEqual(half.networks[0], ['192.0.2.0/24', 16])
  assert.deepEqual(counts.report(start + 3 * minuteMs), { guesses: 0, networks: [] })
})

test('a clock that goes back, or an hour without guesses, is no flood', () => {
  const counts = new GuessCounts()
  for (let count = 0; count < 100; count++) counts.add('192.0.2.1', start)
  assert.equal(counts.report(start + 60 * minuteMs).guesses, 0)
  for (let count = 0; count < 100; count++) counts.add('192.0.2.1', start)
  assert.equal(counts.report(start - 10 * minuteMs).guesses, 0)
})

test('of a hundred thousand networks four thousand are told apart, and all are counted', () => {
  const counts = new GuessCounts()
  for (let count = 0; count < 100_000; count++) {
    counts.add(`${10 + (count >> 16)}.${(count >> 8) & 255}.${count & 255}.1`, start)
  }
  for (let count = 0; count < 50; count++) counts.add('10.0.0.1', start)
  const { guesses, networks } = counts.report(start)
  assert.equal(guesses, 100_050)
  assert.deepEqual(networks[0], ['10.0.0.0/24', 51])
  assert.equal(networks.length, 16)
  const { networks: summed } = sumGuesses([counts.report(start), counts.report(start)], 3)
  assert.deepEqual([summed[0], summed.length], [['10.0.0.0/24', 102], 3])
})

function alarmFor(limit: string) {
  const told: EventFields['login.alarm'][] = []
  const alarm = new LoginAlarm((name, fields) => {
    if (name === 'login.alarm') told.push(fields as EventFields['login.alarm'])
  })
  const backends = 'backends: {fritz: {host: ::1, imap: 143}}'
  const text = `hostname: mx.example.com\ndomains: [example.com]\n${backends}\n${limit}`
  alarm.use(parseTestConfig(text))
  const look = (...guesses: number[]): string | undefined => {
    const reports = guesses.map((one) => ({ guesses: one, networks: [['n/24', one] as const] }))
    alarm.look(reports, start)
    return alarm.status?.since
  }
  return { told, look }
}

test('the alarm is raised once, over all workers, and is over at half as many', () => {
  const { told, look } = alarmFor('limits: {auth_failures_alarm: 10/second}\n')
  assert.equal(look(300, 300), undefined)
  assert.equal(look(301, 300), new Date(start).toISOString())
  assert.ok(look(900))
  assert.ok(look(300))
  assert.equal(look(200, 99), undefined)
  assert.equal(look(599), undefined)
  assert.deepEqual(told, [
    { state: 'raised', guesses: 601, limit: 600, networks: ['n/24 601'] },
    { state: 'over', guesses: 299, limit: 600, networks: ['n/24 299'] },
  ])
  const usual = alarmFor('')
  assert.equal(usual.look(600), undefined)
  assert.ok(usual.look(601))
})

test('a flood of guesses from many addresses raises it, and a device with an old password does not', async () => {
  using dir = tempDir()
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: 1}}
map: {user_map: user_map}
listen: {imap: ["127.0.0.1:0"], metrics: ["127.0.0.1:0"]}
limits: {auth_failure_delay: 1ms, auth_failures_alarm: 30/minute}
probe_interval: 0s
workers: 2
`
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  await buildMapOf(dir, config)
  await using daemon = await startDaemon({ dir, config })
  async function guess(name: string, secret: string, from: string): Promise<void> {
    using client = await Peer.connect(daemon.port('imap'), '127.0.0.1', from)
    await client.expect(/^\* OK .*\r\n/)
    client.send(`a LOGIN ${name} ${secret}\r\n`)
    await client.expect(/^a NO \[AUTHENTICATIONFAILED\] .*\r\n/)
  }
  for (let count = 0; count < 40; count++) await guess('nobody', 'autumn', '127.0.9.1')
  assert.doesNotMatch((await daemon.command('status')).stdout, /guess/)
  for (let count = 0; count < 40; count++) {
    await guess(`user${count}`, 'spring', `127.0.${1 + (count % 4)}.${count + 1}`)
  }
  const { stdout } = await daemon.command('status')
  assert.match(
    stdout,
    /^[34]\d guesses at logins in the last minute, most from:\n {4}127\.0\.\d\.0\/24 \d+, /m,
  )
  const raised = await daemon.waitFor('login.alarm')
  assert.equal(raised['state'], 'raised')
  assert.equal((raised['networks'] as string[]).length, 5)
  const { metrics = [] } = await daemon.status()
  const page = await (await fetch(`http://${metrics[0]}/metrics`)).text()
  assert.match(page, /^mailmux_login_alarm 1$/m)
  const { login_alarm: alarm } = JSON.parse((await daemon.command('status', '--json')).stdout) as {
    login_alarm?: { guesses: number }
  }
  assert.ok(alarm !== undefined && alarm.guesses > 30)
})
