/**
 * Dialogues with a login front end, as files that a mail administrator can read and write:
 *
 *     O: offersTls               an option of the machine: secure, offersTls, allowsCleartext; or
 *                                mechanisms NAME NAME: what is offered; or
 *                                one-segment: the bytes of a turn belong together and are not cut
 *     C: a NOOP\r\n              the client sends (JSON escapes, so every byte can be written; a
 *                                double quote needs none)
 *     S: a OK NOOP completed.\r\n    we answer
 *     D: what the driver is asked for, or says:
 *        log-in LOGIN PASSWORD   asked for (JSON strings)
 *        accept TEXT CAPABILITIES | refuse | unavailable | deny CODE TEXT     said
 *        claim LOGIN             asked for (JSON string)
 *        exchange NAME LOGIN MESSAGE    asked for (JSON strings)
 *        challenge MESSAGE       said
 *        respond MESSAGE | abandon      asked for
 *        brake N                 asked for, and waited out
 *        start-tls               asked for, and done
 *        event REASON | close END | join REST       asked for
 *        time-out | shut-down    said
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Mechanism } from '../../src/config/config.ts'
import type { FrontEndAction, LoginFrontEnd, LoginOutcome } from '../../src/protocol/login.ts'
import type { FrontEndOptions } from '../../src/protocol/login-machine.ts'

export interface Turn {
  readonly from: 'C' | 'S' | 'D'
  readonly text: string
  readonly at: string
}

export interface Transcript {
  readonly file: string
  readonly options: FrontEndOptions
  readonly isOneSegment: boolean
  readonly turns: readonly Turn[]
}

export function readTranscript(file: string): Transcript {
  const words = new Set<string>()
  const turns = readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text, index): Turn[] => {
      const at = `${file}:${index + 1}`
      const [, from, rest = ''] = /^([CSDO]): (.*)$/.exec(text) ?? []
      if (from === 'O') words.add(rest)
      else if (from === 'C' || from === 'S') {
        // \xNN is what people write for a byte; JSON knows \u00NN only.
        const json = rest
          .replace(/\\x(?=[0-9a-f]{2})/g, String.raw`\u00`)
          .replace(/\\.|"/g, (match) => (match === '"' ? String.raw`\"` : match))
        return [{ from, text: JSON.parse(`"${json}"`) as string, at }]
      } else if (from === 'D') return [{ from, text: rest, at }]
      else assert.ok(text === '' || text.startsWith('#'), `${at}: not a transcript line: ${text}`)
      return []
    })
  assert.ok(turns.length > 0, `${file}: empty`)
  const has = (word: string): boolean => words.has(word)
  const mechanisms = [...words]
    .filter((word) => word.startsWith('mechanisms '))
    .flatMap((word) => word.split(' ').slice(1)) as Mechanism[]
  const options = {
    ...(mechanisms.length === 0 ? {} : { mechanisms }),
    hostname: 'mx1.example.com',
    secure: has('secure'),
    offersTls: has('offersTls'),
    allowsCleartext: has('allowsCleartext'),
  }
  return { file, options, isOneSegment: has('one-segment'), turns }
}

/** Plays a dialogue; `cut` says how the client's bytes of a turn arrive. */
export function playTranscript(
  transcript: Transcript,
  machine: LoginFrontEnd,
  cut: (bytes: Buffer) => readonly Buffer[],
): void {
  const player = new Player(machine)
  const { turns } = transcript
  for (let index = 0; index < turns.length; index++) {
    const turn = turns[index]
    assert.ok(turn !== undefined)
    if (turn.from === 'S') player.expectText(turn)
    else if (turn.from === 'D') player.driver(turn)
    else {
      // What a client sends without waiting is one turn.
      let text = turn.text
      while (turns[index + 1]?.from === 'C') text += turns[++index]?.text
      for (const piece of cut(Buffer.from(text, 'latin1'))) player.take(machine.push(piece))
    }
  }
  assert.equal(player.describeRest(), '', `${transcript.file}: more than expected at the end`)
}

class Player {
  readonly #machine: LoginFrontEnd
  #actions: FrontEndAction[] = []
  #text: string

  constructor(machine: LoginFrontEnd) {
    this.#machine = machine
    this.#text = machine.greeting
  }

  take(actions: readonly FrontEndAction[]): void {
    for (const action of actions) {
      if (action.do === 'send' && this.#actions.length === 0) this.#text += action.text
      else this.#actions.push(action)
    }
  }

  expectText({ text, at }: Turn): void {
    const start = this.#text.slice(0, text.length)
    assert.equal(
      JSON.stringify(start),
      JSON.stringify(text),
      `${at} (then: ${this.describeRest()})`,
    )
    this.#text = this.#text.slice(text.length)
  }

  describeRest(): string {
    const text = this.#text === '' ? '' : JSON.stringify(this.#text)
    return [text, ...this.#actions.map((action) => JSON.stringify(action))].join(' ').trim()
  }

  driver({ text, at }: Turn): void {
    const [word = ''] = text.split(' ', 1)
    const rest = text.slice(word.length + 1)
    const said = this.#say(word, rest)
    if (said !== undefined) {
      this.take(said)
      return
    }
    assert.equal(this.#text, '', `${at}: text comes before`)
    const action = this.#actions.shift()
    assert.equal(describe(action), text.replace(/^join .*$/, 'join').replace(/ $/, ''), at)
    const later = this.#actions
    this.#actions = []
    this.take(later)
    if (action?.do === 'brake') this.take(this.#machine.resume())
    else if (action?.do === 'start-tls') this.take(this.#machine.tlsStarted())
    else if (action?.do === 'join') {
      assert.equal(JSON.stringify(this.#machine.takePending().toString('latin1')), rest, at)
    }
  }

  #say(word: string, rest: string): FrontEndAction[] | undefined {
    switch (word) {
      case 'accept': {
        const [text = '', capabilities = ''] = JSON.parse(`[${rest}]`) as string[]
        return this.#answer({ kind: 'accepted', response: { text, capabilities } })
      }
      case 'refuse':
        return this.#answer({ kind: 'refused' })
      case 'unavailable':
        return this.#answer({ kind: 'unavailable' })
      case 'deny': {
        const [code = '', text = ''] = JSON.parse(`[${rest}]`) as string[]
        return this.#answer({ kind: 'denied', code, text })
      }
      case 'challenge':
        return this.#machine.challenged(JSON.parse(rest) as string)
      case 'time-out':
        return this.#machine.timedOut()
      case 'shut-down':
        return this.#machine.shutDown()
      default:
        return undefined
    }
  }

  #answer(outcome: LoginOutcome): FrontEndAction[] {
    return this.#machine.loginAnswered(outcome)
  }
}

function describe(action: FrontEndAction | undefined): string {
  if (action === undefined) return 'nothing'
  switch (action.do) {
    case 'log-in': {
      const { login, password } = action.credentials
      return `log-in ${JSON.stringify(login)}, ${JSON.stringify(password)}`
    }
    case 'exchange': {
      const { mechanism, login, first } = action.exchange
      return `exchange ${[mechanism, login, first].map((text) => JSON.stringify(text)).join(', ')}`
    }
    case 'claim':
      return `claim ${JSON.stringify(action.login)}`
    case 'respond':
      return `respond ${JSON.stringify(action.message)}`
    case 'brake':
      return `brake ${action.attempt}`
    case 'refuse':
      return `event ${action.reason}`
    case 'close':
      return `close ${action.end}`
    case 'send':
      return `send ${action.text}`
    default:
      return action.do
  }
}
