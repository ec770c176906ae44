/**
 * Puts messages into folders of one mailbox, over a connection of its own: commands are sent without
 * waiting for answers to those before, several messages go in one command where that is offered, and
 * octets wait for a `+` only where they must. Large messages stream.
 *
 * A message that was not answered for may have been stored or not: after a failure of the connection
 * whoever asked has to look.
 */
import { type ErrorCode, MailmuxError, messageOf } from '../base/error.ts'
import { limits } from '../base/limit.ts'
import {
  appendCommand,
  type AppendOffers,
  appendOffers,
  messageHead,
  readAppendUid,
} from '../protocol/imap/append.ts'
import { cleanText, readStatus, type StatusLine } from '../protocol/imap/grammar.ts'
import { GatheredWrites } from './gathered-writes.ts'
import type { MailboxAccess } from './mailbox-access.ts'
import type { MailboxStream } from './mailbox-stream.ts'
import { openMailboxStream } from './open-mailbox-stream.ts'
import { isThrottled } from './throttled.ts'

export interface AppendMessage {
  readonly flags: readonly string[]
  /** As IMAP writes it; '' for now. */
  readonly date: string
  readonly sizeBytes: number
  /** Octets, or a stream of exactly as many. */
  readonly body: Buffer | AsyncIterable<Buffer>
}

export type AppendOutcome =
  /** Numbers where the back-end tells them. */
  | { readonly kind: 'stored'; readonly uidValidity?: number; readonly uid?: number }
  | { readonly kind: 'refused'; readonly code: string; readonly text: string }

/** No answer for so long ends a connection; milliseconds. */
const silenceMs = 300_000
const commandEnd = '\r\n'

/** The stream of a message did not have the octets that were announced. */
export class WrongSize extends Error {}

/** Resolves when a command may end: what is not ended is not stored. What it throws, `append` throws. */
type MayEnd = () => Promise<void>

interface Command {
  readonly tag: string
  readonly mayEnd: MayEnd | undefined
  isEnded: boolean
  answered: StatusLine | undefined
  readonly answer: PromiseWithResolvers<StatusLine>
}

export class AppendConnection implements Disposable {
  readonly offers: AppendOffers
  readonly #access: MailboxAccess
  readonly #stream: MailboxStream
  readonly #signal: AbortSignal
  readonly #commands = new Map<string, Command>()
  readonly #writes = new GatheredWrites((bytes) => this.#write(bytes))
  #writing: Promise<void> = Promise.resolve()
  #text = ''
  #tags = 0
  #movedBytes = 0
  #goOn: (() => void) | undefined
  #failure: MailmuxError | undefined

  private constructor(access: MailboxAccess, stream: MailboxStream, signal: AbortSignal) {
    this.#access = access
    this.#stream = stream
    this.#signal = signal
    this.offers = appendOffers(stream.capabilities)
    const take = (chunk: Buffer): void => this.#take(chunk)
    stream.listen({ take, fail: (reason) => this.#cutOff(reason) }, silenceMs)
  }

  /**
   * `signal` ends what is under way, too; `isSpare`: a refusal of it is no reason to make fewer of
   * others. Throws as `openMailboxStream` does.
   */
  static async open(
    access: MailboxAccess,
    signal: AbortSignal,
    { isSpare = false } = {},
  ): Promise<AppendConnection> {
    const stream = await openMailboxStream(access, 'imap', signal, { isSpare })
    return new AppendConnection(access, stream, signal)
  }

  get isUsable(): boolean {
    return this.#failure === undefined
  }

  /** Octets that have come and gone. */
  get movedBytes(): number {
    return this.#movedBytes
  }

  /**
   * Stores messages in this order, and tells what became of each; `mayEnd` says when. Throws
   * BACKEND_UNREACHABLE, or BACKEND_THROTTLED, where that is not known, and what the stream of a body
   * throws, WrongSize included: then the message is not stored, and the connection is no longer usable.
   */
  async append(
    folder: string,
    messages: readonly AppendMessage[],
    mayEnd?: MayEnd,
  ): Promise<AppendOutcome[]> {
    if (messages.length > 1 && !this.offers.multiple) {
      const each = messages.map((message) => this.append(folder, [message], mayEnd))
      return (await Promise.all(each)).flat()
    }
    const status = await this.#send(folder, messages, mayEnd)
    if (status.status === 'OK') return storedAs(status, messages.length)
    const refusal = { kind: 'refused', code: status.code, text: cleanText(status.text) } as const
    const isTooMuch = isThrottled({ command: 'APPEND', ...refusal })
    if (isTooMuch) this.#access.share?.refused()
    // None of several was stored because of one: which, only asking again tells.
    if (messages.length === 1 || isTooMuch || concernsAll.has(status.code)) {
      return messages.map(() => refusal)
    }
    const middle = messages.length >> 1
    const first = await this.append(folder, messages.slice(0, middle), mayEnd)
    return [...first, ...(await this.append(folder, messages.slice(middle), mayEnd))]
  }

  [Symbol.dispose](): void {
    this.#fail('closed')
  }

  async #send(
    folder: string,
    messages: readonly AppendMessage[],
    mayEnd: MayEnd | undefined,
  ): Promise<StatusLine> {
    if (this.#failure !== undefined) throw this.#failure
    const tag = `A${++this.#tags}`
    const answer = Promise.withResolvers<StatusLine>()
    const command: Command = { tag, mayEnd, isEnded: false, answered: undefined, answer }
    this.#commands.set(tag, command)
    const written = this.#writing
      .then(() => this.#perform(command, folder, messages))
      .catch((error: unknown) => {
        this.#commands.delete(tag)
        answer.reject(error)
        this.#fail(messageOf(error))
      })
    this.#writing = written
    const status = await answer.promise
    // Of one that is refused early the rest is still on its way.
    await written
    return status
  }

  async #perform(
    command: Command,
    folder: string,
    messages: readonly AppendMessage[],
  ): Promise<void> {
    await this.#stream.untilTurn()
    let text = appendCommand(command.tag, folder)
    if (text === undefined) throw new Error(`no name of a folder: ${JSON.stringify(folder)}`)
    for (const { body, ...message } of messages) {
      const hasNul = Buffer.isBuffer(body) && body.includes(0)
      const isAsked = !Buffer.isBuffer(body)
      const head = messageHead({ ...message, hasNul, isAsked }, this.offers)
      await this.#writes.putText(text + head.text)
      text = ''
      if (head.isAsked && !(await this.#isAskedFor(command))) return
      if (Buffer.isBuffer(body)) await this.#writes.put(body)
      else await this.#putAll(body, message.sizeBytes)
    }
    if (command.mayEnd !== undefined) {
      await this.#writes.flush()
      // What has been refused may end at any time.
      const answered = command.answer.promise.catch(() => undefined)
      await Promise.race([command.mayEnd(), answered])
    }
    command.isEnded = true
    await this.#writes.putText(commandEnd)
    await this.#writes.flush()
  }

  /** Resolves when they have gone, and may be written over. */
  async #write(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await this.#stream.send(bytes)
    this.#movedBytes += bytes.length
  }

  async #putAll(body: AsyncIterable<Buffer>, sizeBytes: number): Promise<void> {
    let left = sizeBytes
    for await (const bytes of body) {
      left -= bytes.length
      if (left < 0) break
      await this.#writes.put(bytes)
    }
    if (left !== 0) throw new WrongSize(`${sizeBytes} octets were announced, and not so many came`)
  }

  /** False: the command was refused instead. */
  async #isAskedFor(command: Command): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#goOn = resolve
    await this.#writes.flush()
    if (command.answered === undefined && this.#failure === undefined) await promise
    this.#goOn = undefined
    return command.answered === undefined
  }

  #take(chunk: Buffer): void {
    this.#movedBytes += chunk.length
    this.#text += chunk.toString('latin1')
    for (let end = this.#text.indexOf('\n'); end !== -1; end = this.#text.indexOf('\n')) {
      const line = this.#text.slice(0, end).replace(/\r$/, '')
      this.#text = this.#text.slice(end + 1)
      this.#line(line)
    }
    if (this.#text.length > limits.imapLineBytes) this.#fail('too long an answer')
  }

  #line(line: string): void {
    if (line.startsWith('+')) this.#goOn?.()
    else if (line.startsWith('* ')) {
      const status = readStatus(line.slice(2))
      if (status?.status === 'BYE') this.#cutOff(status.text, status.code)
    } else {
      const [tag = ''] = line.split(' ', 1)
      const status = readStatus(line.slice(tag.length + 1))
      const command = this.#commands.get(tag)
      const isEarly = status?.status === 'OK' && command?.isEnded === false
      if (command === undefined || status === undefined || isEarly) {
        this.#fail(`unexpected answer: ${line}`)
      } else {
        this.#commands.delete(tag)
        command.answered = status
        command.answer.resolve(status)
        this.#goOn?.()
      }
    }
  }

  /** By the back-end, on the way to it, or by the end of the signal, which is no fault of its own. */
  #cutOff(reason: string, code = ''): void {
    if (this.#failure !== undefined) return
    // One that nobody uses may be closed for that.
    if (!this.#signal.aborted && this.#commands.size > 0) this.#access.share?.refused()
    this.#fail(
      reason,
      isThrottled({ command: '', code, text: reason }) ? 'BACKEND_THROTTLED' : undefined,
    )
  }

  #fail(reason: string, code: ErrorCode = 'BACKEND_UNREACHABLE'): void {
    if (this.#failure !== undefined) return
    this.#failure = new MailmuxError(code, `${this.#access.server}, APPEND: ${reason}`)
    for (const { answer } of this.#commands.values()) answer.reject(this.#failure)
    this.#commands.clear()
    this.#stream.destroy()
    this.#goOn?.()
  }
}

/** Codes of refusals that no message of several is the cause of. RFC 5530. */
const concernsAll = new Set([
  'OVERQUOTA',
  'TRYCREATE',
  'NONEXISTENT',
  'NOPERM',
  'UNAVAILABLE',
  'SERVERBUG',
  'INUSE',
])

function storedAs({ code, codeText }: StatusLine, messages: number): AppendOutcome[] {
  const told = code === 'APPENDUID' ? readAppendUid(codeText, messages) : undefined
  return Array.from({ length: messages }, (_, index) => {
    const uid = told?.uids[index]
    return told === undefined || uid === undefined
      ? { kind: 'stored' }
      : { kind: 'stored', uidValidity: told.uidValidity, uid }
  })
}
