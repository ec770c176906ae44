import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simpleParser } from 'mailparser'
import type { JournalRecord } from '../../src/spool/journal.ts'
import { newId } from '../../src/spool/spool-places.ts'
import { type Progress, progressOf, type RecipientProgress } from '../../src/spool/progress.ts'
import { composeReport, originalOf, type ReportInput } from '../../src/spool/report-message.ts'
import { isSettled, whatToReport } from '../../src/spool/report-policy.ts'
import type { SpooledRecipient } from '../../src/spool/spooled-message.ts'
import { envelopeOf, owed, refused } from '../support/spool.ts'

const id = newId(1)
const message =
  'Received: from x\r\nFrom: sue@example.net\r\nSubject: plans\r\n\r\nfirst\r\n..dot\r\nlast\r\n'

function progressFor(...recipients: readonly SpooledRecipient[]): Progress {
  return progressOf({ id, arrivedAt: 0, envelope: envelopeOf(recipients) }, [])
}

function inputFor(
  recipients: readonly RecipientProgress[],
  more: Partial<ReportInput> = {},
): ReportInput {
  return {
    kind: 'failure',
    hostname: 'mx.example.com',
    postmaster: 'postmaster@example.com',
    to: 'sue@example.net',
    at: new Date(Date.UTC(2026, 0, 5, 9)),
    arrivedAt: new Date(Date.UTC(2026, 0, 5, 8)),
    givenUpAt: new Date(Date.UTC(2026, 0, 10, 8)),
    envelopeId: undefined,
    id,
    recipients,
    isFinal: (backend) => backend === 'fritz',
    original: originalOf(Buffer.from(message), false),
    smtpUtf8: false,
    ...more,
  }
}

/** The lines of a part, found without a MIME library. */
function partsOf(composed: string): { readonly head: string; readonly body: string }[] {
  const boundary = /boundary="([^"]+)"/.exec(composed)?.[1] ?? ''
  const pieces = composed.split(`--${boundary}`).slice(1, -1)
  return pieces.map((piece) => {
    const [head = '', ...body] = piece.replace(/^\r\n/, '').split('\r\n\r\n')
    return { head, body: body.join('\r\n\r\n') }
  })
}

async function compose(input: ReportInput): Promise<string> {
  return (await composeReport(input)).toString('latin1')
}

test('a failure is a multipart/report that a person, a program and a parser understand', async () => {
  const { recipients } = progressFor(
    refused('ann@example.com', { originalRecipient: 'rfc822;a+2Bb@example.com' }),
    refused('ida@example.com'),
  )
  const composed = await compose(inputFor(recipients, { envelopeId: 'Q+20Q+0D1' }))
  const parsed = await simpleParser(composed)
  assert.equal(parsed.from?.value[0]?.address, 'postmaster@example.com')
  assert.equal(parsed.subject, 'Your message was not delivered')
  assert.equal(parsed.headers.get('auto-submitted'), 'auto-replied')
  assert.match(parsed.text ?? '', /could not be delivered.*No further attempt is made/)
  assert.match(parsed.text ?? '', /ann@example\.com\s+550 5\.7\.1 the content is not wanted here/)
  const type = parsed.headers.get('content-type') as { value: string; params: object }
  assert.equal(type.value, 'multipart/report')
  assert.equal((type.params as { 'report-type': string })['report-type'], 'delivery-status')
  const [human, status, original] = partsOf(composed)
  assert.match(human?.head ?? '', /^Content-Type: text\/plain; charset=utf-8\r\n/)
  assert.equal(status?.head, 'Content-Type: message/delivery-status')
  assert.deepEqual(status?.body.split('\r\n'), [
    'Original-Envelope-Id: Q Q+0D1',
    'Reporting-MTA: dns; mx.example.com',
    `X-Mailmux-Queue-ID: ${id}`,
    'Arrival-Date: Mon, 05 Jan 2026 08:00:00 +0000',
    '',
    'Original-Recipient: rfc822;a+b@example.com',
    'Final-Recipient: rfc822; ann@example.com',
    'Action: failed',
    'Status: 5.7.1',
    'Diagnostic-Code: smtp; 550 5.7.1 the content is not wanted here',
    'Last-Attempt-Date: Mon, 05 Jan 2026 09:00:00 +0000',
    '',
    'Final-Recipient: rfc822; ida@example.com',
    'Action: failed',
    'Status: 5.7.1',
    'Diagnostic-Code: smtp; 550 5.7.1 the content is not wanted here',
    'Last-Attempt-Date: Mon, 05 Jan 2026 09:00:00 +0000',
    '',
    '',
  ])
  assert.equal(original?.head, 'Content-Type: text/rfc822-headers')
  assert.equal(
    original?.body,
    'Received: from x\r\nFrom: sue@example.net\r\nSubject: plans\r\n\r\n',
  )
  assert.ok(!composed.replaceAll('\r\n', '').includes('\n'), 'every line ends with CRLF')
})

test('the whole message comes back with its dots as they were, on a wire where they are stuffed', async () => {
  const { recipients } = progressFor(refused('ann@example.com'))
  const original = originalOf(Buffer.from(message), true)
  const composed = await compose(inputFor(recipients, { original }))
  const [, , last] = partsOf(composed)
  assert.match(last?.head ?? '', /^Content-Type: message\/rfc822$/m)
  assert.ok(last?.body.includes('\r\n..dot\r\nlast\r\n'))
  const parsed = await simpleParser(composed.replace(/^\.\./gm, '.'))
  const [attached] = parsed.attachments.filter(
    ({ contentType }) => contentType === 'message/rfc822',
  )
  assert.equal(attached?.content.toString(), message.replace('..dot', '.dot'))
})

test('a delay says until when, a success whether it was delivered or passed on', async () => {
  const { recipients } = progressFor(owed('ann@example.com'))
  const delay = await compose(inputFor(recipients, { kind: 'delay' }))
  assert.match(delay, /^Action: delayed\r\nStatus: 4\.0\.0\r\nLast-Attempt-Date/m)
  assert.match(delay, /^Will-Retry-Until: Sat, 10 Jan 2026 08:00:00 \+0000\r$/m)
  assert.match(delay, /^Subject: Your message is delayed\r$/m)
  const [one] = recipients
  assert.ok(one !== undefined)
  const done = { ...one, result: 'delivered', code: 250, status: '2.1.5', text: 'ok' } as const
  const actionFor = async (backend: string): Promise<string> => {
    const composed = await compose(inputFor([{ ...done, backend }], { kind: 'success' }))
    return /^Action: (.*)\r\nStatus: 2\.1\.5\r$/m.exec(composed)?.[1] ?? ''
  }
  assert.equal(await actionFor('fritz'), 'delivered')
  assert.equal(await actionFor('smarthost'), 'relayed')
})

test('what is not ASCII stays readable: encoded where it may be, said where it is sent as it is', async () => {
  const head = 'Subject: gr\u00fc\u00dfe\r\nX-Long: '
  const eight = `${head}${'x'.repeat(1200)}\r\n\r\nb\u00f6dy\r\n`
  const bytes = Buffer.from(eight, 'latin1')
  const { recipients } = progressFor(refused('j\u00fcrgen@example.com'))
  const headers = await compose(
    inputFor(recipients, { original: originalOf(bytes, false), smtpUtf8: true }),
  )
  const [, status, last] = partsOf(headers)
  assert.match(status?.head ?? '', /^Content-Type: message\/global-delivery-status$/m)
  assert.match(status?.head ?? '', /^Content-Transfer-Encoding: 8bit$/m)
  const fields = Buffer.from(status?.body ?? '', 'latin1').toString('utf8')
  assert.match(fields, /^Final-Recipient: utf-8; j\u00fcrgen@example\.com\r$/m)
  assert.match(last?.head ?? '', /Content-Transfer-Encoding: (?:quoted-printable|base64)/)
  assert.ok(!/[^\r\n]{999}/.test(last?.body ?? ''))
  const whole = partsOf(await compose(inputFor(recipients, { original: originalOf(bytes, true) })))
  assert.match(whole[2]?.head ?? '', /^Content-Transfer-Encoding: 8bit$/m)
  assert.ok(whole[2]?.body.includes('b\u00f6dy'))
})

test('who is told of what: the table of RFC 3461', () => {
  const asks = [
    [undefined, ['failure', 'delay']],
    [['NEVER'], []],
    [['SUCCESS'], ['success']],
    [['FAILURE'], ['failure']],
    [['DELAY'], ['delay']],
    [
      ['SUCCESS', 'FAILURE', 'DELAY'],
      ['failure', 'success', 'delay'],
    ],
  ] as const
  for (const [notify, expected] of asks) {
    for (const isNullSender of [false, true]) {
      const [ann, ida, joe] = [
        refused('ann@example.com', { notify }),
        owed('ida@example.com', { notify }),
        owed('joe@example.com', { notify }),
      ]
      const delivered = {
        backend: 'fritz',
        code: 250,
        status: '2.0.0',
        text: 'ok',
        recipients: [2],
        result: 'delivered' as const,
      }
      const head = { id, arrivedAt: 0, envelope: envelopeOf([ann, ida, joe]) }
      const progress = progressOf(head, [{ do: 'outcomes', at: 1, outcomes: [delivered] }])
      const reports = whatToReport(progress, { isNullSender, isLate: true })
      const told = reports.filter((one) => one.told.length > 0).map(({ kind }) => kind)
      assert.deepEqual(told, isNullSender ? [] : expected, JSON.stringify(notify))
      // Everything is accounted for, told or not.
      assert.deepEqual(
        reports.map(({ kind, told: some, untold }) => [kind, some.length + untold.length]),
        [
          ['failure', 1],
          ['success', 1],
          ['delay', 1],
        ],
      )
    }
  }
})

function reported(...recipients: number[]): JournalRecord {
  return { do: 'reported', of: 'failure', recipients, notification: undefined }
}

test('a message is settled when nobody is owed it, nor word of it', () => {
  const head = { id, arrivedAt: 0, envelope: envelopeOf([refused('a@b'), owed('c@d')]) }
  const removed = {
    do: 'outcomes',
    at: 1,
    outcomes: [
      {
        recipients: [1],
        result: 'removed',
        backend: undefined,
        code: undefined,
        status: '',
        text: '',
      },
    ],
  } as const
  assert.equal(isSettled(progressOf(head, [])), false)
  assert.equal(isSettled(progressOf(head, [reported(0)])), false)
  assert.equal(isSettled(progressOf(head, [removed])), false)
  assert.equal(isSettled(progressOf(head, [reported(0), removed])), true)
})
