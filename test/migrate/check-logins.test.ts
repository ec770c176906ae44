/** Logins by ManageSieve and POP3 are tried before anything is copied. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLogins } from '../../src/migrate/check-logins.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'

const { signal } = new AbortController()

const sieve = (answer: string) => async (peer: Peer) => {
  peer.send('"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\nOK\r\n')
  await peer.expect(/^AUTHENTICATE "PLAIN" \S+\r\n/)
  peer.send(answer)
}

const pop3 = (answer: string) => async (peer: Peer) => {
  peer.send('+OK ready\r\n')
  await peer.expect(/^AUTH PLAIN\r\n/)
  peer.send('+ \r\n')
  await peer.expect(/^\S+\r\n/)
  peer.send(answer)
}

const good = { sieve: 'OK\r\n', pop3: '+OK\r\n' }

/** Ends of which the target answers so. */
async function ended(answers: typeof good, ignores: readonly ('sieve' | 'uidl')[] = []) {
  await using stack = new AsyncDisposableStack()
  const serverOf = async ({ sieve: ofSieve, pop3: ofPop3 }: typeof good, name: string) => {
    const scripts = stack.use(await ScriptedBackend.start(sieve(ofSieve)))
    const mail = stack.use(await ScriptedBackend.start(pop3(ofPop3)))
    const ports = { sieve: scripts.port, pop3: mail.port }
    return doorTo(name, 0, 'authzid', ports).accessTo('ann')
  }
  const ends = { source: await serverOf(good, 'fritz'), target: await serverOf(answers, 'ingrid') }
  return await checkLogins(ends, ignores, signal).then(
    () => 'let in',
    (error: unknown) => error as Error & { readonly code: string },
  )
}

test('an administrator who is let in everywhere may go on', async () => {
  assert.equal(await ended(good), 'let in')
})

test('a refused login says where, and how to do without', async () => {
  const scripts = await ended({ ...good, sieve: 'NO "not you"\r\n' })
  assert.ok(typeof scripts === 'object')
  assert.equal(scripts.code, 'BACKEND_LOGIN_REFUSED')
  assert.match(scripts.message, /^ingrid, sieve as ann: .*--ignore sieve leaves scripts behind$/)
  const uidls = await ended({ ...good, pop3: '-ERR [AUTH] not you\r\n' })
  assert.ok(typeof uidls === 'object')
  assert.match(uidls.message, /^ingrid, pop3 as ann: .*--ignore uidl leaves what POP3 clients/)
})

test('what is to be left behind is not asked for', async () => {
  const refusing = { sieve: 'NO "not you"\r\n', pop3: '-ERR [AUTH] not you\r\n' }
  assert.equal(await ended(refusing, ['sieve', 'uidl']), 'let in')
})

test('a mailbox that is in use is let into later', async () => {
  assert.equal(await ended({ ...good, pop3: '-ERR [IN-USE] locked\r\n' }), 'let in')
})
