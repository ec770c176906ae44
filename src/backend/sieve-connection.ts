/** Scripts of one mailbox, by ManageSieve. RFC 5804 section 2. Scripts are octets as latin1 strings. */
import { MailmuxError } from '../base/error.ts'
import { limits } from '../base/limit.ts'
import { printable } from '../base/log.ts'
import type { Token } from '../protocol/imap/grammar.ts'
import { readResponse, writeString } from '../protocol/sieve/grammar.ts'
import { ResponseReader } from '../protocol/sieve/response-reader.ts'
import type { MailboxAccess } from './mailbox-access.ts'
import type { MailboxStream } from './mailbox-stream.ts'
import { openMailboxStream } from './open-mailbox-stream.ts'

export interface ListedScript {
  readonly name: string
  readonly isActive: boolean
}

/** The back-end says no to one command; the connection goes on. */
export class SieveRefusal extends Error {}

/** No answer for so long ends a connection; milliseconds. */
const silenceMs = 60_000

type Responses = readonly (readonly Token[])[]

export class SieveConnection implements Disposable {
  readonly server: string
  readonly #stream: MailboxStream
  readonly #reader = new ResponseReader()
  #said: (readonly Token[])[] = []
  #asked: PromiseWithResolvers<Responses> | undefined
  #failure: MailmuxError | undefined

  private constructor(server: string, stream: MailboxStream) {
    this.server = server
    this.#stream = stream
    const take = (chunk: Buffer): void => this.#take(chunk)
    stream.listen({ take, fail: (reason) => this.#fail(reason) }, silenceMs)
  }

  /** Throws as `openMailboxStream` does. */
  static async open(access: MailboxAccess, signal: AbortSignal): Promise<SieveConnection> {
    return new SieveConnection(access.server, await openMailboxStream(access, 'sieve', signal))
  }

  async list(): Promise<ListedScript[]> {
    const listed = await this.#command('LISTSCRIPTS')
    return listed.flatMap(([name, mark]) => {
      if (name?.kind !== 'string') return []
      const isActive = mark?.kind === 'atom' && mark.text.toUpperCase() === 'ACTIVE'
      return [{ name: Buffer.from(name.text, 'latin1').toString(), isActive }]
    })
  }

  async get(name: string): Promise<string> {
    const [[script] = []] = await this.#command(`GETSCRIPT ${written(name)}`)
    return script?.kind === 'string' ? script.text : ''
  }

  /** Throws SieveRefusal, with what the back-end has against the script. */
  async put(name: string, script: string): Promise<void> {
    await this.#command(`PUTSCRIPT ${written(name)} {${script.length}+}\r\n${script}`)
  }

  /** '' for none. */
  async activate(name: string): Promise<void> {
    await this.#command(`SETACTIVE ${written(name)}`)
  }

  [Symbol.dispose](): void {
    this.#failure ??= new MailmuxError('BACKEND_UNREACHABLE', `${this.server}: closed`)
    this.#stream.destroy()
  }

  /** One at a time. */
  async #command(text: string): Promise<Responses> {
    await this.#stream.untilTurn()
    if (this.#failure !== undefined) throw this.#failure
    const asked = Promise.withResolvers<Responses>()
    this.#asked = asked
    this.#stream.write(Buffer.from(`${text}\r\n`, 'latin1'))
    return asked.promise
  }

  #take(chunk: Buffer): void {
    for (const read of this.#reader.push(chunk)) {
      if (read.kind === 'malformed') return this.#fail('malformed answer')
      const response = readResponse(read.tokens)
      if (response === undefined || response.kind === 'strings') this.#said.push(read.tokens)
      else if (response.kind === 'BYE') this.#fail(response.text)
      else this.#answer(response)
    }
  }

  #answer({ kind, text }: { readonly kind: string; readonly text: string }): void {
    const [asked, said] = [this.#asked, this.#said]
    this.#asked = undefined
    this.#said = []
    if (kind === 'OK') asked?.resolve(said)
    else asked?.reject(new SieveRefusal(printable(text, limits.replyLineBytes)))
  }

  #fail(reason: string): void {
    if (this.#failure !== undefined) return
    const what = `${this.server}, ManageSieve: ${reason}`
    this.#failure = new MailmuxError('BACKEND_UNREACHABLE', what)
    this.#asked?.reject(this.#failure)
    this.#stream.destroy()
  }
}

function written(name: string): string {
  return writeString(Buffer.from(name).toString('latin1'))
}
