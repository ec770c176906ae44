/** One end of a conversation in lines: enough to be an SMTP and a POP3 client. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { MailmuxError } from '../base/error.ts'

const patienceMs = 30_000

export class LineClient implements Disposable {
  readonly #socket: Socket
  readonly #lines: AsyncIterator<string>

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  }

  /** Throws DEMO_FAILED where nobody answers; a silent peer ends the conversation after 30 s. */
  static async connect(port: number): Promise<LineClient> {
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(patienceMs, () => socket.destroy(new Error('the peer is silent')))
    try {
      await once(socket, 'connect')
    } catch (error) {
      throw new MailmuxError('DEMO_FAILED', `port ${port} does not answer`, { cause: error })
    }
    // The reader of lines sees the end; what went wrong before it is not told apart.
    socket.on('error', () => undefined)
    return new LineClient(socket)
  }

  send(text: string): void {
    this.#socket.write(`${text}\r\n`)
  }

  /** The next line. Throws DEMO_FAILED at the end of the connection. */
  async line(): Promise<string> {
    const next = await this.#lines.next()
    if (next.done === true) {
      throw new MailmuxError('DEMO_FAILED', 'the connection ended in the middle of a conversation')
    }
    return next.value
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
