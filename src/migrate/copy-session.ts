/** Two connections of a mailbox's copy: to read, and to change what is there. */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { ImapMailbox } from './imap-mailbox.ts'

export interface CopyEnds {
  readonly source: MailboxAccess
  readonly target: MailboxAccess
}

export class CopySession implements AsyncDisposable {
  readonly source: ImapMailbox
  readonly target: ImapMailbox

  private constructor(source: ImapMailbox, target: ImapMailbox) {
    this.source = source
    this.target = target
  }

  /** Throws as `ImapMailbox.open` does. */
  static async open({ source, target }: CopyEnds, signal: AbortSignal): Promise<CopySession> {
    await using opened = new AsyncDisposableStack()
    const from = opened.use(await ImapMailbox.open(source, signal))
    const to = opened.use(await ImapMailbox.open(target, signal))
    opened.move()
    return new CopySession(from, to)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.source[Symbol.asyncDispose](), this.target[Symbol.asyncDispose]()])
  }
}
