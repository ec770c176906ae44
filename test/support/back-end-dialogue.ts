/** Dialogues with a machine that logs in to a back-end, as tables of tests have them. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { TlsMode } from '../../src/config/config.ts'
import type {
  BackEndAction,
  Credentials,
  Introduction,
  LoginBackEnd,
  LoginProof,
} from '../../src/protocol/login.ts'
import type { Exchange } from '../../src/protocol/sasl/exchange.ts'
import type { ClientAttributes } from '../../src/protocol/smtp/client-attributes.ts'
import { cutAt } from './cut-at.ts'
import { runs } from './runs.ts'

export const ann: Credentials = { login: 'ann@example.com', password: 'secret' }

/** `<` the back-end says, `>` it is sent, `=` what happens, `~` the client answers a challenge. */
export interface Dialogue {
  readonly name: string
  readonly tls?: TlsMode
  readonly credentials?: LoginProof
  /** Whom the back-end is told of. */
  readonly client?: ClientAttributes
  /** It has offered to take commands in a row. */
  readonly isPipelining?: boolean
  /** The bytes of a turn belong together: it matters that they come at once. */
  readonly isOneSegment?: boolean
  readonly lines: readonly string[]
}

export const scram: Exchange = {
  mechanism: 'SCRAM-SHA-256',
  login: 'ann@example.com',
  first: 'n,,n=ann@example.com,r=abc',
}
export const token: Exchange = {
  mechanism: 'OAUTHBEARER',
  login: 'ann.b',
  first: `n,a=ann@example.com,\u0001auth=Bearer ${'t'.repeat(9)}\u0001\u0001`,
}

export function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64')
}

type Create = (tls: TlsMode, proof: LoginProof, introduction: Introduction) => LoginBackEnd

/** Plays it at once and, where the bytes of a turn need not come together, in whatever pieces. */
export function playDialogue(
  { lines, tls = 'none', credentials = ann, client, isPipelining, isOneSegment }: Dialogue,
  create: Create,
): void {
  const machine = (): LoginBackEnd =>
    create(tls, credentials, {
      hostname: 'mx.example.com',
      client,
      isPipelining: isPipelining === true,
    })
  play(machine(), lines, (bytes) => [bytes])
  if (isOneSegment) return
  play(machine(), lines, (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)))
  fc.assert(
    fc.property(fc.array(fc.nat(200), { maxLength: 6 }), (places) =>
      play(machine(), lines, cutAt(places)),
    ),
    runs(20, 200),
  )
}

function describe(action: BackEndAction): string {
  if (action.do === 'send') return `> ${action.text}`
  if (action.do === 'start-tls') return '= start-tls'
  if (action.do === 'challenge') return `= challenge ${action.message}`
  const { outcome } = action
  switch (outcome.kind) {
    case 'accepted':
      return `= accepted ${outcome.response.text}|${outcome.response.capabilities}|${outcome.surplus.toString('latin1')}`
    case 'denied':
      return `= denied ${outcome.code} ${outcome.text}`
    case 'failed':
      return `= failed ${outcome.step}/${outcome.reason}`
    default:
      return '= refused'
  }
}

function play(
  machine: LoginBackEnd,
  lines: readonly string[],
  cut: (bytes: Buffer) => readonly Buffer[],
): void {
  let said: string[] = []
  const take = (actions: readonly BackEndAction[]): void => {
    for (const action of actions) {
      said.push(describe(action))
      if (action.do === 'start-tls') take(machine.tlsStarted())
    }
  }
  for (const line of lines) {
    if (line.startsWith('~ ')) {
      assert.deepEqual(said, [])
      take(machine.respond(line.slice(2)))
      continue
    }
    if (!line.startsWith('< ')) {
      assert.equal(JSON.stringify(said.shift()), JSON.stringify(line))
      continue
    }
    assert.deepEqual(said, [])
    for (const piece of cut(Buffer.from(line.slice(2), 'latin1'))) take(machine.push(piece))
  }
  assert.deepEqual(said, [])
  said = []
}
