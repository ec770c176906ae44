import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countEvent } from '../../src/daemon/count-event.ts'
import { CounterTable, countsOf, sumCounts } from '../../src/daemon/counters.ts'

const peer = { service: 'imap', session: '1-1', peer: '192.0.2.1:5' } as const

test('an event moves its counter by one, under the labels of the event', () => {
  const counters = new CounterTable()
  countEvent(counters, 'refuse', { ...peer, reason: 'conn_limit' })
  countEvent(counters, 'refuse', { ...peer, reason: 'conn_limit' })
  countEvent(counters, 'backend', {
    ...peer,
    backend: 'fritz',
    step: 'connect',
    reason: 'refused',
    detail: 'a, b',
  })
  countEvent(counters, 'internal', { reason: 'exception', detail: '' })
  countEvent(counters, 'daemon.stopping', { reason: 'SIGTERM' })
  assert.deepEqual(counters.snapshot(), {
    'refused:imap,conn_limit': 2,
    'backend_error:fritz,connect,refused': 1,
    'backend_failure:fritz,imap': 1,
    'internal:exception': 1,
  })
})

const verdicts = [
  [250, 'accepted'],
  [251, 'accepted'],
  [421, 'deferred'],
  [451, 'deferred'],
  [550, 'refused'],
] as const

test('messages are counted by what their final reply means, and for each of their back-ends', () => {
  for (const [code, outcome] of verdicts) {
    const counters = new CounterTable()
    const message = { backend: 'fritz,ingrid', recipients: 1, bytes: 10, code, bare_lf: 0 }
    countEvent(counters, 'message', { ...peer, service: 'smtp', ...message })
    assert.deepEqual(counters.snapshot(), {
      [`message:smtp,${outcome}`]: 1,
      [`backend_message:fritz,${outcome}`]: 1,
      [`backend_message:ingrid,${outcome}`]: 1,
    })
  }
})

test('a message that is kept for a back-end, or refused by one, is counted apart for those alone', () => {
  const counters = new CounterTable()
  const message = { backend: 'fritz,ingrid,klaus', recipients: 1, bytes: 10, code: 250, bare_lf: 0 }
  const kept = { queue: 'x', queued_for: 'ingrid', refused_by: 'klaus' }
  countEvent(counters, 'message', { ...peer, service: 'smtp', ...message, ...kept })
  assert.deepEqual(counters.snapshot(), {
    'message:smtp,accepted': 1,
    'backend_message:fritz,accepted': 1,
    'backend_message:ingrid,spooled': 1,
    'backend_message:klaus,refused': 1,
  })
})

test('the tables of several workers add up', () => {
  assert.deepEqual(sumCounts([{ a: 1, 'b:x': 2 }, {}, { 'b:x': 3, 'b:y': 1 }]), {
    a: 1,
    'b:x': 5,
    'b:y': 1,
  })
})

test('the counts of one name are found by its labels', () => {
  const counts = { 'login:imap,ok': 4, 'login:pop3,failed': 1, 'login_other:imap,ok': 9, login: 7 }
  assert.deepEqual(countsOf(counts, 'login'), [
    { labels: ['imap', 'ok'], count: 4 },
    { labels: ['pop3', 'failed'], count: 1 },
  ])
})
