import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entryOf, LdapBind } from '../../../src/daemon/login/ldap-bind.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'

test('the name of an entry has the user in it, and no more than the user', () => {
  const form = 'uid={local},ou={domain},mail={user},dc=x'
  const entry = entryOf(form, 'ann@example.com')
  assert.equal(entry, 'uid=ann,ou=example.com,mail=ann@example.com,dc=x')
  for (const [local, written] of [
    ['a,b', String.raw`a\2cb`],
    ['a+ou=x', String.raw`a\2bou\3dx`],
    ['#a"', String.raw`\23a\22`],
    ['ä', String.raw`\c3\a4`],
    ['{domain}', String.raw`\7bdomain\7d`],
    ['$&', String.raw`\24\26`],
  ] as const) {
    assert.equal(entryOf('uid={local},dc=x', `${local}@example.com`), `uid=${written},dc=x`)
  }
})

/** An answer with that result code to the bind that came; RFC 4511 section 4.2.2. */
function bindResponse({ received }: Peer, code: number): Buffer {
  const id = Buffer.from(received, 'latin1')[4] ?? 0
  return Buffer.from([0x30, 0x0c, 0x02, 0x01, id, 0x61, 0x07, 0x0a, 0x01, code, 0x04, 0, 0x04, 0])
}

const broken: Readonly<Record<string, (peer: Peer) => unknown>> = {
  'hangs up at once': (peer) => peer.socket.end(),
  resets: (peer) => peer.socket.resetAndDestroy(),
  'answers in another language': (peer) =>
    peer.send('HTTP/1.1 400 Bad Request\r\n\r\n').socket.end(),
  'sends octets without sense': (peer) =>
    peer.send(Buffer.from('30840000000502010161ff', 'hex')).socket.end(),
  'dies within its answer': (peer) => {
    peer.send(bindResponse(peer, 0).subarray(0, 8))
    peer.socket.end()
  },
  'announces four gigabytes': (peer) => {
    peer.send(Buffer.from('3084ffffffff0201016100', 'hex')).socket.end()
  },
  'sends without an end': (peer) => peer.send(Buffer.alloc(10 * 1024 * 1024, 0x30)).socket.end(),
  'answers another question': (peer) => {
    peer.send(Buffer.from(bindResponse(peer, 0)).fill(99, 4, 5)).socket.end()
  },
  'is busy': (peer) => peer.send(bindResponse(peer, 51)),
}

for (const [what, answer] of Object.entries(broken)) {
  test(`a directory that ${what} judges no password, and disturbs no other question`, async () => {
    await using directory = await ScriptedBackend.start(async (peer, number) => {
      await peer.expect(/ann/)
      if (number === 0) answer(peer)
      else peer.send(bindResponse(peer, number === 1 ? 0 : 49))
    })
    const url = `ldap://127.0.0.1:${directory.port}`
    const config = {
      host: '127.0.0.1',
      tls: 'none',
      tlsCaFile: undefined,
      dn: 'uid={local}',
    } as const
    const bind = new LdapBind({ ...config, url }, undefined)
    const first = bind.isPassword('ann@example.com', 'secret')
    await directory.peerNumber(0)
    assert.equal(await bind.isPassword('ann@example.com', 'right'), true)
    assert.equal(await bind.isPassword('ann@example.com', 'wrong'), false)
    assert.equal(await first, undefined)
  })
}
