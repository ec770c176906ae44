/** COMPRESS=DEFLATE (RFC 4978) on connections to mailboxes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import zlib from 'node:zlib'
import fc from 'fast-check'
import { Allowance } from '../../src/backend/allowance.ts'
import { CompressAnswer } from '../../src/backend/compression.ts'
import { openMailboxStream } from '../../src/backend/open-mailbox-stream.ts'
import type { MailboxStream } from '../../src/backend/mailbox-stream.ts'
import { systemClock } from '../../src/backend/system-clock.ts'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import { verifyMailbox } from '../../src/migrate/verify-mailbox.ts'
import { doorTo, MailboxPair } from '../support/mailbox-pair.ts'
import { fillNasty } from '../support/nasty-mailbox.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'
import { ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

const never = new AbortController().signal
const flush = zlib.constants.Z_SYNC_FLUSH
const deflated = (text: string | Buffer) => zlib.deflateRawSync(text, { finishFlush: flush })
const inflated = (bytes: Buffer) => String(zlib.inflateRawSync(bytes, { finishFlush: flush }))

function shareOf(compress: boolean) {
  const none = { connections: undefined, bytesPerSecond: undefined }
  return new Allowance({ ...none, compress, clock: systemClock }).share()
}

/** Lets somebody in who says `offer`, and goes on with `then` when it is asked for. */
async function letIn(peer: Peer, offer = 'COMPRESS=DEFLATE'): Promise<void> {
  peer.send('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n')
  await peer.expect(/^L AUTHENTICATE PLAIN \S+\r\n/)
  peer.send(`L OK [CAPABILITY IMAP4rev1 ${offer}] In\r\n`)
}

const asked = (peer: Peer) => peer.expect(/^Z COMPRESS DEFLATE\r\n/)

function accessTo({ port }: ScriptedBackend, compress = true) {
  return { ...doorTo('fritz', port, 'authzid').accessTo('ann'), share: shareOf(compress) }
}

async function allOf(stream: MailboxStream): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return String(Buffer.concat(chunks))
}

test('after it is agreed on, all goes deflated both ways, what came with the answer too', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await letIn(peer)
    await asked(peer)
    peer.send(Buffer.concat([Buffer.from('* OK soon\r\nZ OK go\r\n'), deflated('* 1 EXISTS\r\n')]))
    const [sent = ''] = await peer.expect(/^[^]+/)
    assert.equal(inflated(Buffer.from(sent, 'latin1')), 'a NOOP\r\n')
    peer.socket.end()
  })
  const stream = await openMailboxStream(accessTo(backend), 'imap', never)
  stream.write('a NOOP\r\n')
  assert.equal(await allOf(stream), '* 1 EXISTS\r\n')
  assert.deepEqual(backend.failures, [])
})

test('a server that declines is spoken with in clear', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await letIn(peer)
    await asked(peer)
    peer.send('Z NO [COMPRESSIONACTIVE] by TLS\r\n')
    await peer.expect(/^a NOOP\r\n/)
    peer.send('a OK\r\n').socket.end()
  })
  const stream = await openMailboxStream(accessTo(backend), 'imap', never)
  stream.write('a NOOP\r\n')
  assert.equal(await allOf(stream), 'a OK\r\n')
  assert.deepEqual(backend.failures, [])
})

test('it is asked for only where it is offered and wanted', async () => {
  for (const [offer, compress] of [
    ['COMPRESS=DEFLATE', false],
    ['XCOMPRESS=DEFLATE COMPRESS=DEFLATED', true],
  ] as const) {
    await using backend = await ScriptedBackend.start(async (peer) => {
      await letIn(peer, offer)
      await peer.expect(/^a NOOP\r\n/)
      peer.socket.end()
    })
    const stream = await openMailboxStream(accessTo(backend, compress), 'imap', never)
    stream.write('a NOOP\r\n')
    assert.equal(await allOf(stream), '')
    assert.deepEqual(backend.failures, [])
  }
})

describe('a server that breaks off the answer', () => {
  const ways: Readonly<Record<string, (peer: Peer) => unknown>> = {
    'by its end': (peer) => peer.socket.end(),
    'by a reset': (peer) => peer.socket.resetAndDestroy(),
    'by something else': (peer) => peer.send('+ what?\r\n'),
    'by a line without end': (peer) => peer.send('* '.padEnd(20_000, 'x')),
  }
  for (const [how, way] of Object.entries(ways)) {
    test(`${how} is told of`, async () => {
      await using backend = await ScriptedBackend.start(async (peer) => {
        await letIn(peer)
        await asked(peer)
        way(peer)
        await peer.end()
      })
      await assert.rejects(openMailboxStream(accessTo(backend), 'imap', never), {
        code: 'BACKEND_UNREACHABLE',
        message: /^fritz, imap as ann: COMPRESS: /,
      })
    })
  }

  for (const [what, line] of [
    ['nothing', ''],
    ['no end', '* OK still here\r\n'],
  ] as const) {
    test(`by ${what} is not waited for`, async () => {
      await using backend = await ScriptedBackend.start(async (peer) => {
        await letIn(peer)
        await asked(peer)
        const dripping = setInterval(() => peer.send(line), 20)
        await peer.end()
        clearInterval(dripping)
      })
      const access = { ...accessTo(backend), loginTimeoutMs: 300 }
      await assert.rejects(openMailboxStream(access, 'imap', never), /COMPRESS: no answer in time/)
    })
  }

  test('by a word of farewell is told of in its words, and where it is too much as that', async () => {
    for (const [bye, code] of [
      ['* BYE [UNAVAILABLE] too many connections', 'BACKEND_THROTTLED'],
      ['* BYE the end', 'BACKEND_UNREACHABLE'],
    ] as const) {
      await using backend = await ScriptedBackend.start(async (peer) => {
        await letIn(peer)
        await asked(peer)
        peer.send(`${bye}\r\n`)
        await peer.end()
      })
      await assert.rejects(openMailboxStream(accessTo(backend), 'imap', never), {
        code,
        message: /COMPRESS: (?:too many connections|the end)$/,
      })
    }
  })
})

test('what cannot be inflated ends the connection', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await letIn(peer)
    await asked(peer)
    peer.send('Z OK go\r\nnot deflated\r\n')
    await peer.end()
  })
  const stream = await openMailboxStream(accessTo(backend), 'imap', never)
  await assert.rejects(allOf(stream), { code: 'Z_DATA_ERROR' })
})

test('octets that grow a thousandfold are inflated no faster than they are read', async () => {
  const all = 200_000_000
  await using backend = await ScriptedBackend.start(async (peer) => {
    await letIn(peer)
    await asked(peer)
    peer.send('Z OK go\r\n').send(deflated(Buffer.alloc(all)))
    peer.socket.end()
    await peer.end()
  })
  const stream = await openMailboxStream(accessTo(backend), 'imap', never)
  let [read, most] = [0, 0]
  for await (const chunk of stream) {
    read += (chunk as Buffer).length
    most = Math.max(most, stream.readableLength)
  }
  assert.equal(read, all)
  assert.ok(most < 1_000_000, `${most} octets at once`)
})

test('the answer is found however it is cut, and what follows it is kept', () => {
  const tail = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))
  const answer = fc.constantFrom('Z OK go', 'Z NO', 'Z BAD x', 'z ok', 'Z okay', 'a OK')
  const untagged = fc.array(fc.constantFrom('* OK soon', '* 1 EXISTS', '* '), { maxLength: 3 })
  const kinds: Readonly<Record<string, string>> = {
    'Z OK go': 'accepted',
    'Z NO': 'declined',
    'Z BAD x': 'declined',
  }
  fc.assert(
    fc.property(untagged, answer, tail, fc.array(fc.nat(60)), (before, line, rest, cuts) => {
      const text = [...before, line].map((one) => `${one}\r\n`).join('')
      const bytes = Buffer.concat([Buffer.from(text), rest])
      const places = [...new Set([0, ...cuts.filter((at) => at < bytes.length)])].sort(
        (a, b) => a - b,
      )
      const reader = new CompressAnswer()
      for (const [index, at] of places.entries()) {
        const said = reader.push(bytes.subarray(at, places[index + 1]))
        if (said === undefined) continue
        assert.ok(said.kind !== 'bye')
        const left = Buffer.concat([said.rest, bytes.subarray(places[index + 1] ?? bytes.length)])
        assert.equal(said.kind, kinds[line] ?? 'malformed')
        return assert.deepEqual(left, rest)
      }
      return assert.fail('it was not found')
    }),
  )
})

describe('a copy from Dovecot with COMPRESS', { skip: skipWithout('dovecot') }, () => {
  test('is equal, and takes a part of the octets', async () => {
    using dir = tempDir()
    const lines = ['protocol imap {', '  mail_plugins = $mail_plugins imap_zlib', '}']
    const both = { source: lines, target: lines }
    await using pair = await MailboxPair.start(dir, { users: ['ann'], ...both })
    using imap = await pair.login('source', 'ann')
    await fillNasty(imap, 7, 40)
    const taken: number[] = []
    for (const compress of [false, true]) {
      await using way = await ThrottlingProxy.start(pair.source.ports.imap)
      const door = doorTo('fritz', way.port).accessTo('ann@example.com')
      const target = { ...pair.endsOf('ann').target, share: shareOf(compress) }
      const ends = { source: { ...door, share: shareOf(compress) }, target }
      const plan = pair.planFor('ann', { ends, user: String(compress), merge: true } as never)
      using journal = await CopyJournal.open(dir.join('state'))
      await using copy = await MailboxCopy.open(plan, journal, never)
      const { problems } = await copy.pass({ mirror: true })
      assert.deepEqual(problems, [])
      const { pairs } = await copy.look()
      const { folders } = await verifyMailbox(ends, pairs, 'full', never)
      const missing = folders.flatMap((folder) => [...folder.missing, ...folder.differing])
      assert.deepEqual(missing, [])
      taken.push(way.bytes)
    }
    const [plain = 0, less = 0] = taken
    assert.ok(less < plain * 0.7, `${less} of ${plain} octets`)
  })
})
