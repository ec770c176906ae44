/** What a ManageSieve back-end says after the login, response by response. Octets are latin1 strings. */
import type { Token } from '../imap/grammar.ts'
import { Assembly } from './grammar.ts'

/** Of one response: no script is larger. */
const limitBytes = 16 * 1024 * 1024

export type ReadResponse =
  | { readonly kind: 'response'; readonly tokens: readonly Token[] }
  /** After it nothing is read any more. */
  | { readonly kind: 'malformed' }

export class ResponseReader {
  readonly #assembly = new Assembly()
  #text = ''
  #isOver = false

  push(chunk: Buffer): ReadResponse[] {
    const responses: ReadResponse[] = []
    this.#text += chunk.toString('latin1')
    while (!this.#isOver) {
      const due = this.#assembly.octetsDue
      const end = due > 0 ? due : this.#text.indexOf('\n') + 1
      if (end === 0 || this.#text.length < end) break
      const piece = this.#text.slice(0, end)
      this.#text = this.#text.slice(end)
      if (due > 0) this.#assembly.takeOctets(piece)
      else if (this.#assembly.takeLine(piece.replace(/\r?\n$/, ''))) responses.push(this.#whole())
      if (this.#assembly.size > limitBytes) responses.push(this.#end())
    }
    if (!this.#isOver && this.#text.length > limitBytes) responses.push(this.#end())
    return responses
  }

  #whole(): ReadResponse {
    const tokens = this.#assembly.finish()
    return tokens === undefined ? this.#end() : { kind: 'response', tokens }
  }

  #end(): ReadResponse {
    this.#isOver = true
    return { kind: 'malformed' }
  }
}
