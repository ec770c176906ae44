import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Reply, reply } from '../../src/mail/reply.ts'
import { SmtpFrontEnd } from '../../src/protocol/smtp/front-end.ts'
import type { FrontEndAction, FrontEndOptions } from '../../src/protocol/smtp/front-end-action.ts'
import type { Path } from '../../src/protocol/smtp/path.ts'
import { next, type Phase, type TableEvent } from '../../src/protocol/smtp/session-table.ts'
import { runs } from '../support/runs.ts'

const taken = reply(250, '2.0.0', 'taken')

/** What a map and one back-end would answer; a message to spam@ is refused at its end. */
function answerTo({ local, domain }: Path): Reply {
  if (domain !== '' && domain !== 'example.com') return reply(550, '5.7.1', 'relaying denied')
  const isKnown = ['ann', 'spam', 'postmaster'].includes(local.toLowerCase())
  return isKnown ? reply(250, '2.1.5', 'ok') : reply(550, '5.1.1', 'no such user')
}

/** Plays the driver: everything is answered, in the order asked, as soon as all input was taken. */
class Played {
  said = ''
  passed = ''
  closed = ''
  readonly reasons: string[] = []
  readonly machine: SmtpFrontEnd
  readonly options: FrontEndOptions
  #verdicts: Reply[] = []
  readonly #isLmtp: boolean
  readonly #asked: (() => FrontEndAction[])[] = []

  constructor(options: Partial<FrontEndOptions> = {}) {
    this.options = {
      protocol: 'smtp',
      hostname: 'mx.example.com',
      offers: { limitBytes: 100_000, eightBitMime: true, smtpUtf8: true, dsn: true },
      secure: false,
      bareNewline: 'reject',
      startTls: true,
      isTrusted: false,
      ...options,
    }
    this.machine = new SmtpFrontEnd(this.options)
    this.#isLmtp = options.protocol === 'lmtp'
    this.perform(this.machine.greet())
  }

  push(text: string): this {
    this.perform(this.machine.push(Buffer.from(text, 'latin1')))
    for (let ask = this.#asked.shift(); ask !== undefined; ask = this.#asked.shift()) {
      this.perform(ask())
    }
    return this
  }

  perform(actions: readonly FrontEndAction[]): void {
    for (const action of actions) this.#do(action)
  }

  #do(action: FrontEndAction): void {
    assert.equal(this.closed, '', 'nothing follows a close')
    switch (action.do) {
      case 'send':
        this.said += action.text
        break
      case 'start-tls':
        this.#asked.push(() => this.machine.tlsStarted())
        break
      case 'client':
        break
      case 'begin':
        this.#verdicts = []
        break
      case 'recipient':
        this.#asked.push(() => {
          const answer = answerTo(action.path)
          const verdict = action.path.local === 'spam' ? reply(554, '5.6.0', 'no') : taken
          if (answer.code < 300) this.#verdicts.push(verdict)
          return this.machine.recipientAnswered(action.slot, answer)
        })
        break
      case 'data':
        this.#asked.push(() => this.machine.dataAnswered(reply(354, '', 'go on')))
        break
      case 'pass':
        this.passed += Buffer.concat(action.parts).toString('latin1')
        break
      case 'end': {
        const verdicts = this.#isLmtp ? this.#verdicts : this.#verdicts.toSorted(worseFirst)
        this.passed += '<end>'
        this.#asked.push(() => this.machine.messageAnswered(verdicts))
        break
      }
      case 'abort':
        break
      case 'refuse':
        this.reasons.push(action.reason)
        break
      case 'close':
        this.closed = action.end
        break
    }
  }
}

function worseFirst(one: Reply, other: Reply): number {
  return other.code - one.code
}

interface Transcript {
  readonly turns: readonly {
    readonly says: string
    readonly expects: string
    readonly at: string
  }[]
  readonly reasons: readonly string[]
  readonly isAtOnce: boolean
  readonly options: Partial<FrontEndOptions>
}

const least = { limitBytes: 100_000, eightBitMime: false, smtpUtf8: false, dsn: false }
/** What `O: ` may say. */
const variants: Readonly<Record<string, Partial<FrontEndOptions>>> = {
  lmtp: { protocol: 'lmtp' },
  trusted: { isTrusted: true },
  least: { offers: least },
}

/**
 * `C: ` the client says, `S: ` we must answer (JSON escapes; the client's text goes out as UTF-8),
 * `X: ` reasons of a refusal, `O: ` variants of the listener.
 */
function readTranscript(file: string): Transcript {
  const turns: { says: string; expects: string; at: string }[] = []
  const lines = readFileSync(file, 'utf8').split('\n')
  let reasons: string[] = []
  const options: Partial<FrontEndOptions> = {}
  for (const [index, text] of lines.entries()) {
    const [, kind, rest = ''] = /^([CSXO]): (.*)$/.exec(text) ?? []
    if (kind === 'O') {
      Object.assign(options, variants[rest])
      continue
    }
    const line =
      kind === 'X' ? rest : (JSON.parse(`"${rest.replaceAll('"', String.raw`\"`)}"`) as string)
    if (kind === 'C') turns.push({ says: line, expects: '', at: `${file}:${index + 1}` })
    else if (kind === 'X') reasons = rest.split(' ')
    else if (kind === 'S' && index > 0 && turns.length > 0) {
      const turn = turns.at(-1)
      if (turn !== undefined) turn.expects += line
    } else assert.match(text, /^(?:#.*|S: 220 .*|)$/, `${file}:${index + 1}`)
  }
  return { turns, reasons, isAtOnce: lines[0] === '# at once', options }
}

const files = globSync('test/transcripts/smtp/*.txt').sort()

test('there are transcripts', () => assert.ok(files.length >= 15))

for (const file of files) {
  const { turns, reasons, isAtOnce, options } = readTranscript(file)
  const manners = isAtOnce ? ['whole'] : ['whole', 'byte by byte']
  for (const manner of manners) {
    test(`${basename(file, '.txt')}, ${manner}`, () => {
      const played = new Played(options)
      for (const { says: text, expects, at } of turns) {
        const says = /[^\0-\xff]/.test(text) ? Buffer.from(text).toString('latin1') : text
        const before = played.said.length
        const pieces = manner === 'whole' ? [says] : says
        for (const piece of pieces) played.push(piece)
        if (turns[0]?.says === text && before > 0) assert.match(played.said, /^220 /)
        assert.equal(played.said.slice(before), expects, at)
      }
      const reported = [...new Set(played.reasons)].filter((reason) => reason !== 'message_too_big')
      assert.deepEqual(reported, reasons)
      const isCutOff = reasons.some((reason) => reason !== 'xclient_denied')
      const isOver = isCutOff || turns.some(({ says }) => /^QUIT\r\n/m.test(says))
      assert.equal(played.closed !== '', isOver)
    })
  }
}

const opening = 'HELO c\r\nMAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n'

test('who speaks before our greeting is told so and cut off', () => {
  const machine = new SmtpFrontEnd({ ...new Played().options })
  const texts = machine.push(Buffer.from('EHLO x\r\n')).map((action) => {
    if (action.do === 'send') return action.text
    return action.do === 'refuse' ? action.reason : action.do
  })
  assert.match(texts[0] ?? '', /^554 5\.5\.0 .*\r\n$/)
  assert.deepEqual(texts.slice(1), ['early_talker', 'close'])
  assert.deepEqual(machine.greet(), [])
})

test('replies of one segment are given as one piece of text', () => {
  const { machine } = new Played()
  const actions = machine.push(Buffer.from('HELO c\r\nMAIL FROM:<>\r\nNOOP\r\nNOOP\r\n'))
  assert.equal(actions.filter((action) => action.do === 'send').length, 1)
})

test('a command that ends a group waits for the answers before it', () => {
  const { machine } = new Played()
  machine.push(Buffer.from('HELO c\r\n'))
  const text = 'MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRSET\r\nQUIT\r\n'
  const actions = machine.push(Buffer.from(text))
  const [asked] = actions.filter((action) => action.do === 'recipient')
  assert.ok(asked !== undefined)
  const early = actions.map((action) => action.do)
  assert.deepEqual(early, ['begin', 'recipient'], 'nothing is said before the group is done')
  const later = machine.recipientAnswered(asked.slot, reply(250, '2.1.5', 'ok'))
  assert.deepEqual(
    later.map((action) => (action.do === 'send' ? action.text : action.do)),
    ['250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 ok\r\n221 2.0.0 bye\r\n', 'abort', 'close'],
  )
})

test('bytes that come between DATA and our 354 end the session', () => {
  const { machine } = new Played()
  const actions = machine.push(Buffer.from(opening))
  const [asked] = actions.filter((action) => action.do === 'recipient')
  assert.ok(asked)
  machine.recipientAnswered(asked.slot, reply(250, '2.1.5', 'ok'))
  const later = machine.push(Buffer.from('S'))
  assert.deepEqual(
    later.map((action) => (action.do === 'refuse' ? action.reason : action.do)).sort(),
    ['abort', 'close', 'send', 'unauth_pipelining'],
  )
  assert.deepEqual(machine.dataAnswered(reply(354, '', 'go')), [])
})

test('a command line of 2048 octets is taken, a longer one ends the session', () => {
  const line = `NOOP ${'x'.repeat(2041)}\r\n`
  assert.match(new Played().push(line).said, /250 2\.0\.0 ok\r\n$/)
  const played = new Played().push(`NOOP ${'x'.repeat(2042)}\r\nNOOP\r\n`)
  assert.match(played.said, /500 5\.5\.2 line too long\r\n$/)
  assert.deepEqual([played.closed, played.reasons], ['refused', ['line_too_long']])
})

test('of an endless line no more than 64 KiB is read', () => {
  const played = new Played()
  let read = 0
  for (; played.closed === ''; read += 1000) played.push('x'.repeat(1000))
  assert.ok(read > 65_000 && read < 70_000, `${read}`)
})

test('a list that is delivered by LMTP may have many that are unknown', () => {
  const played = new Played({ protocol: 'lmtp' }).push('LHLO c\r\nMAIL FROM:<>\r\n')
  for (let count = 0; count < 30; count++) played.push('RCPT TO:<nobody@example.com>\r\n')
  assert.equal(played.closed, '')
})

test('bad commands of one client are not counted for the next', () => {
  const played = new Played({ isTrusted: true })
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < 9; count++) played.push('BAD\r\n')
    played.push(`XCLIENT ADDR=192.0.2.${round}\r\n`)
    assert.equal(played.closed, '')
  }
})

test('what XCLIENT tells adds up, and what it takes back is forgotten', () => {
  const { machine } = new Played({ isTrusted: true })
  machine.push(
    Buffer.from('XCLIENT NAME=a.example ADDR=192.0.2.7\r\nXCLIENT HELO=b PROTO=esmtp\r\n'),
  )
  const known = { name: 'a.example', address: '192.0.2.7', hello: 'b', protocol: 'ESMTP' }
  assert.deepEqual(machine.client, known)
  machine.push(Buffer.from('XCLIENT NAME=[TEMPUNAVAIL] ADDR=IPV6:2001:DB8::7\r\n'))
  assert.deepEqual(machine.client, { ...known, name: undefined, address: '2001:db8::7' })
})

test('what XFORWARD tells holds for one transaction', () => {
  const { machine } = new Played({ isTrusted: true })
  const begun = (text: string) =>
    machine.push(Buffer.from(text)).flatMap((one) => (one.do === 'begin' ? [one.forwarded] : []))
  const first = 'EHLO c\r\nXFORWARD ADDR=192.0.2.7\r\nXFORWARD PORT=25\r\nMAIL FROM:<>\r\n'
  assert.deepEqual(begun(first), [{ address: '192.0.2.7', port: 25 }])
  assert.deepEqual(begun('RSET\r\nMAIL FROM:<>\r\n'), [undefined])
})

test('the twenty-first unknown recipient ends the session', () => {
  const played = new Played().push('HELO c\r\nMAIL FROM:<>\r\n')
  for (let count = 0; count < 20; count++) played.push('RCPT TO:<nobody@example.com>\r\n')
  assert.equal(played.closed, '')
  played.push('RCPT TO:<nobody@example.com>\r\n')
  assert.match(played.said, /(?:550 5\.1\.1 no such user\r\n){20}421 4\.7\.0 [^\r]*\r\n$/)
  assert.deepEqual([played.closed, played.reasons], ['refused', ['rcpt_harvest']])
})

test('a thousand recipients are taken, and no more, however they are sent', () => {
  const played = new Played().push('HELO c\r\nMAIL FROM:<>\r\n')
  played.push('RCPT TO:<ann@example.com>\r\n'.repeat(1002))
  assert.equal(played.said.match(/250 2\.1\.5/g)?.length, 1000)
  assert.equal(played.said.match(/452 4\.5\.3/g)?.length, 2)
})

test('while a back-end thinks, no more than a bounded number of commands is taken', () => {
  const { machine } = new Played()
  machine.push(Buffer.from('HELO c\r\nMAIL FROM:<>\r\n'))
  let asked = 0
  for (let count = 0; machine.wantsInput && count < 10_000; count++) {
    asked += machine.push(Buffer.from('RCPT TO:<ann@example.com>\r\n')).length
  }
  assert.equal(machine.wantsInput, false)
  assert.equal(asked, 1000)
})

test('a message beyond the limit is refused at its end, and the session goes on', () => {
  const played = new Played().push(opening)
  for (let count = 0; count < 11; count++) played.push(`${'x'.repeat(9998)}\r\n`)
  assert.deepEqual(played.reasons, ['message_too_big'])
  const passed = played.passed.length
  played.push('y\r\n.\r\nNOOP\r\n')
  assert.ok(passed <= 100_000 && played.passed.length === passed)
  assert.match(played.said, /552 5\.3\.4 message too big\r\n250 2\.0\.0 ok\r\n$/)
})

test('the rest of a refused message is read up to a limit', () => {
  const played = new Played().push(opening)
  for (let count = 0; count < 30 && played.closed === ''; count++) played.push('x'.repeat(10_000))
  assert.equal(played.closed, 'refused')
  assert.match(played.said, /552 5\.3\.4 message too big\r\n$/)
})

test('a back-end lost in the middle of a message is told at the end of the message', () => {
  const played = new Played().push(opening).push('first\r\n')
  played.perform(played.machine.messageAnswered([reply(451, '4.4.2', 'lost')]))
  assert.doesNotMatch(played.said, /451/)
  played.push('second\r\n.\r\nNOOP\r\n')
  assert.match(played.said, /451 4\.4\.2 lost\r\n250 2\.0\.0 ok\r\n$/)
  assert.equal(played.passed, 'first\r\n')
})

test('a stop lets the running transaction end', () => {
  const idle = new Played().push('HELO c\r\n')
  idle.perform(idle.machine.shutDown())
  assert.equal(idle.closed, 'shutdown')
  assert.match(idle.said, /421 4\.3\.2 [^\r]*\r\n$/)
  const busy = new Played().push(opening)
  busy.perform(busy.machine.shutDown())
  assert.equal(busy.closed, '')
  busy.push('x\r\n.\r\nMAIL FROM:<>\r\n')
  assert.match(busy.said, /250 2\.0\.0 taken\r\n421 4\.3\.2 [^\r]*\r\n$/)
  assert.equal(busy.closed, 'shutdown')
})

test('a silent client is told so', () => {
  const played = new Played().push('HELO c\r\n')
  played.perform(played.machine.timedOut('idle_timeout'))
  assert.match(played.said, /421 4\.4\.2 [^\r]*\r\n$/)
  assert.deepEqual([played.closed, played.reasons], ['refused', ['idle_timeout']])
})

test('whatever ended a transaction, the phase after it is the same', () => {
  const phases: Phase[] = ['start', 'ready', 'sender', 'recipients']
  const events: TableEvent[] = ['HELLO', 'MAIL', 'RCPT', 'DATA', 'RSET', 'secured', 'ended']
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events)), (sequence) => {
      let phase: Phase = 'start'
      for (const event of sequence) {
        const following = next(phase, event)
        if (typeof following !== 'string') {
          assert.equal(following.code, 503)
          continue
        }
        phase = following
        if (event === 'ended' || event === 'RSET') assert.ok(phase === 'ready' || phase === 'start')
      }
      assert.ok(phases.includes(phase))
      if (phase === 'start' || phase === 'ready') {
        assert.ok(
          typeof next(phase, 'RCPT') !== 'string' && typeof next(phase, 'DATA') !== 'string',
        )
      }
    }),
  )
})

test('any chunking of a session gives the same words and the same message', () => {
  const session =
    'EHLO c\r\nMAIL FROM:<b@example.net>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n'
  const rest =
    'A: b\r\n\r\n..\r\n.x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<spam@example.com>\r\nBAD\r\nQUIT\r\n'
  const expected = new Played().push(session).push(rest)
  fc.assert(
    fc.property(fc.array(fc.nat(session.length)), fc.array(fc.nat(rest.length)), (one, two) => {
      const played = new Played()
      for (const piece of cut(session, one)) played.push(piece)
      for (const piece of cut(rest, two)) played.push(piece)
      assert.equal(played.said, expected.said)
      assert.equal(played.passed, expected.passed)
      assert.equal(played.closed, 'logout')
    }),
  )
})

function cut(text: string, cuts: readonly number[]): string[] {
  const at = [0, ...[...cuts].sort((a, b) => a - b), text.length]
  return at.slice(1).map((end, index) => text.slice(at[index], end))
}

test('no octets of a client can make it throw', () => {
  const words = [
    'MAIL FROM:<',
    'RCPT TO:<',
    'a@example.com',
    '>',
    '\r\n',
    'DATA\r\n',
    '.',
    '\0',
    '"',
    '\\',
    '@',
    '[',
    'HELO x\r\n',
  ]
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 5 }))),
      (parts) => {
        const played = new Played()
        for (const part of parts) if (played.closed === '') played.push(part)
      },
    ),
    runs(2000),
  )
})
