/** The connections of one mailbox's copy: to read, to change what is there, and to add to it. */
import { AppendConnection } from '../backend/append-connection.ts'
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { ImapMailbox } from './imap-mailbox.ts'

export interface CopyEnds {
  readonly source: MailboxAccess
  readonly target: MailboxAccess
}

export class CopySession implements AsyncDisposable {
  readonly source: ImapMailbox
  readonly target: ImapMailbox
  readonly #access: MailboxAccess
  readonly #signal: AbortSignal
  #appending: AppendConnection | undefined

  private constructor(
    mailboxes: { readonly source: ImapMailbox; readonly target: ImapMailbox },
    access: MailboxAccess,
    signal: AbortSignal,
  ) {
    this.source = mailboxes.source
    this.target = mailboxes.target
    this.#access = access
    this.#signal = signal
  }

  /** Throws as `ImapMailbox.open` does. */
  static async open({ source, target }: CopyEnds, signal: AbortSignal): Promise<CopySession> {
    await using opened = new AsyncDisposableStack()
    const mailboxes = {
      source: opened.use(await ImapMailbox.open(source, signal)),
      target: opened.use(await ImapMailbox.open(target, signal)),
    }
    opened.move()
    return new CopySession(mailboxes, target, signal)
  }

  /** The connection that adds messages; another one where the last was lost. Throws as `open`. */
  async appending(): Promise<AppendConnection> {
    if (this.#appending?.isUsable === true) return this.#appending
    this.#appending = await AppendConnection.open(this.#access, this.#signal)
    return this.#appending
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#appending?.[Symbol.dispose]()
    await Promise.all([this.source[Symbol.asyncDispose](), this.target[Symbol.asyncDispose]()])
  }
}
