/**
 * What POP3 tells of one mailbox (RFC 1939): nothing is fetched by RETR, nothing deleted. Commands may
 * be under way together; octets are latin1 strings.
 */
import { MailmuxError } from '../base/error.ts'
import { limits } from '../base/limit.ts'
import { printable } from '../base/log.ts'
import type { MailboxAccess } from './mailbox-access.ts'
import type { MailboxStream } from './mailbox-stream.ts'
import { openMailboxStream } from './open-mailbox-stream.ts'

/** The back-end says no to one command; the connection goes on. */
export class Pop3Refusal extends Error {}

/** No answer for so long ends a connection; milliseconds. */
const silenceMs = 60_000
/** More than a list of a million messages; a header of more is none. */
const answerBytes = 128 * 1024 * 1024

type Asked = PromiseWithResolvers<readonly string[]>

export class Pop3Connection implements Disposable {
  readonly #server: string
  readonly #stream: MailboxStream
  readonly #asked: Asked[] = []
  /** Lines of the list that comes now; undefined before its `+OK`. */
  #lines: string[] | undefined
  #bytes = 0
  #rest = ''
  #failure: MailmuxError | undefined

  private constructor(server: string, stream: MailboxStream) {
    this.#server = server
    this.#stream = stream
    const take = (chunk: Buffer): void => this.#take(chunk)
    stream.listen({ take, fail: (reason) => this.#fail(reason) }, silenceMs)
  }

  /** Throws as `openMailboxStream` does. */
  static async open(access: MailboxAccess, signal: AbortSignal): Promise<Pop3Connection> {
    return new Pop3Connection(access.server, await openMailboxStream(access, 'pop3', signal))
  }

  /** UIDLs by the numbers of messages. Throws Pop3Refusal where it has none. */
  async uidls(): Promise<ReadonlyMap<number, string>> {
    return new Map(
      (await this.#command('UIDL')).flatMap((line) => {
        const [, number, uidl = ''] = /^(\d+) +([!-~]+)/.exec(line) ?? []
        return number === undefined ? [] : [[Number(number), uidl] as const]
      }),
    )
  }

  /** Octets by the numbers of messages. */
  async sizes(): Promise<ReadonlyMap<number, number>> {
    return new Map(
      (await this.#command('LIST')).flatMap((line) => {
        const [, number, octets] = /^(\d+) +(\d+)/.exec(line) ?? []
        return number === undefined ? [] : [[Number(number), Number(octets)] as const]
      }),
    )
  }

  /** With CR LF after each line of it. Throws Pop3Refusal where it has no TOP. */
  async header(number: number): Promise<string> {
    const lines = await this.#command(`TOP ${number} 0`)
    return lines.map((line) => `${line.startsWith('.') ? line.slice(1) : line}\r\n`).join('')
  }

  /** Nothing was changed, so that it is no matter whether QUIT arrives. */
  [Symbol.dispose](): void {
    this.#failure ??= new MailmuxError('BACKEND_UNREACHABLE', `${this.#server}: closed`)
    this.#stream.write('QUIT\r\n')
    this.#stream.destroy()
  }

  /** One that is answered by a list. */
  async #command(text: string): Promise<readonly string[]> {
    await this.#stream.untilTurn()
    if (this.#failure !== undefined) throw this.#failure
    const asked: Asked = Promise.withResolvers()
    this.#asked.push(asked)
    this.#stream.write(`${text}\r\n`)
    return asked.promise
  }

  #take(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString('latin1')).split('\r\n')
    this.#rest = lines.pop() ?? ''
    this.#bytes += chunk.length
    for (const line of lines) this.#read(line)
    if (this.#bytes > answerBytes) this.#fail('an answer without end')
  }

  #read(line: string): void {
    if (this.#asked.length === 0) return this.#fail(`says ${line.slice(0, 80)}`)
    if (this.#lines !== undefined && line !== '.') this.#lines.push(line)
    else if (this.#lines !== undefined) this.#answer((one) => one.resolve(this.#lines ?? []))
    else if (line.startsWith('+OK')) this.#lines = []
    else {
      const text = printable(line, limits.replyLineBytes)
      this.#answer((one) => one.reject(new Pop3Refusal(text)))
    }
  }

  #answer(settle: (asked: Asked) => void): void {
    const asked = this.#asked.shift()
    if (asked !== undefined) settle(asked)
    this.#lines = undefined
    this.#bytes = 0
  }

  #fail(reason: string): void {
    if (this.#failure !== undefined) return
    this.#failure = new MailmuxError('BACKEND_UNREACHABLE', `${this.#server}, POP3: ${reason}`)
    for (const asked of this.#asked.splice(0)) asked.reject(this.#failure)
    this.#stream.destroy()
  }
}
