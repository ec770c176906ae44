/**
 * Imapflow over a connection of ours: the one file that imports it, and works round what of it is in
 * the way. It makes many objects of each response to FETCH, a third of all work where messages are
 * small: those that are what we asked for are taken from under it.
 */
import { ImapFlow } from 'imapflow'
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import type { MailboxStream, Sieve } from '../backend/mailbox-stream.ts'
import { openMailboxStream } from '../backend/open-mailbox-stream.ts'
import { type FetchedItems, FetchFilter } from './fetch-filter.ts'
import type { FetchAnswers } from './fetch-attributes.ts'
import type { Namespaces } from './imap-answers.ts'
import type { Attributes, Untagged } from './imap-words.ts'

const silenceMs = 300_000

/** What imapflow has and its types keep to itself. All of its own commands go through `exec`, too. */
interface Executing extends Namespaces {
  exec: (
    command: string,
    attributes: Attributes,
    options: { readonly untagged: Untagged; readonly onSend?: () => void },
  ) => Promise<{ next(): void }>
}

export class ImapClient {
  readonly flow: ImapFlow
  readonly #stream: MailboxStream
  readonly #filter: FetchFilter

  private constructor(stream: MailboxStream, filter: FetchFilter, host: string) {
    this.#stream = stream
    this.#filter = filter
    this.flow = flowOver(stream, host)
  }

  /** Logged in, and not yet asked anything. Throws as `openMailboxStream` does. */
  static async open(access: MailboxAccess, signal: AbortSignal): Promise<ImapClient> {
    const filter = new FetchFilter()
    const sieve: Sieve = (bytes) => filter.pass(bytes)
    const stream = await openMailboxStream(access, 'imap', signal, { sieve })
    return new ImapClient(stream, filter, access.server)
  }

  /** Of one that could not be asked anything. */
  destroy(): void {
    this.#stream.destroy()
  }

  get namespaces(): Namespaces {
    return this.#executing
  }

  /** Throws what imapflow throws. */
  async exec(
    command: string,
    attributes: Attributes,
    untagged: Untagged,
    onSend?: () => void,
  ): Promise<void> {
    const options = { untagged, ...(onSend === undefined ? {} : { onSend }) }
    const done = await this.#executing.exec(command, attributes, options)
    done.next()
  }

  /** UID FETCH. Throws what imapflow throws. */
  async fetch(attributes: Attributes, answers: FetchAnswers): Promise<void> {
    const take = (items: FetchedItems): void => answers.takeItems(items)
    // Commands wait in imapflow for those before them.
    const onSend = (): void => {
      this.#filter.taker = take
    }
    const untagged: Untagged = {
      FETCH: async ({ attributes: said = [] }) => answers.take(said),
    }
    try {
      await this.exec('UID FETCH', attributes, untagged, onSend)
    } finally {
      // The next one may have been sent by now.
      if (this.#filter.taker === take) this.#filter.taker = undefined
    }
  }

  get #executing(): Executing {
    return this.flow as unknown as Executing
  }
}

function flowOver(stream: MailboxStream, host: string): ImapFlow {
  // We are logged in already: imapflow is told so as RFC 9051 section 7.1.4 has it.
  const flow = new ImapFlow({
    host,
    port: 0,
    secure: false,
    doSTARTTLS: false,
    logger: false,
    clientInfo: { name: 'mailmux', version: false, vendor: false, 'support-url': false },
    disableAutoIdle: true,
    disableCompression: true,
    disableAutoEnable: true,
    socketTimeout: silenceMs,
    transport: {
      connect(_options, onConnect) {
        stream.unshift(Buffer.from(`* PREAUTH [CAPABILITY ${stream.capabilities}] logged in\r\n`))
        setImmediate(onConnect)
        return stream
      },
    },
  })
  pace(flow as unknown as Executing, () => stream.untilTurn())
  // What goes wrong is thrown by the calls; the event tells the same once more.
  flow.on('error', () => undefined)
  return flow
}

/** From now on each command waits for `untilTurn` before it is sent. */
function pace(flow: Executing, untilTurn: () => Promise<void>): void {
  const exec = flow.exec.bind(flow)
  flow.exec = async (...command) => {
    await untilTurn()
    return await exec(...command)
  }
}
