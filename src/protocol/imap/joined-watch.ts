/** A joined IMAP session: where `* BYE` may stand. RFC 9051 section 7.1.5. */
import { type FarewellReason, LiteralWatch } from '../joined-watch.ts'

const farewells = {
  shutdown: '* BYE [UNAVAILABLE] Server is stopping, try again later.\r\n',
  kicked: '* BYE [UNAVAILABLE] This session was ended, log in again.\r\n',
} as const

/** The end of a client's bytes in which its last command can be seen. */
const commandBytes = 64
const lineFeed = 0x0a

export class ImapWatch extends LiteralWatch {
  /** The bytes may be compressed, and then are no lines. */
  #isOpaque = false
  /** Of a command that has not ended. */
  #command = ''

  override get isAtBoundary(): boolean {
    return !this.#isOpaque && super.isAtBoundary
  }

  farewell(why: FarewellReason): string {
    return farewells[why]
  }

  /**
   * COMPRESS (RFC 4978) is the last that a client says before its answer, so that it is looked for at
   * the end of what has come, whatever was before. A text of a message that ends so does no harm.
   */
  override fromClient(bytes: Buffer): void {
    super.fromClient(bytes)
    if (this.#isOpaque) return
    const end = bytes.toString('latin1', Math.max(0, bytes.length - commandBytes))
    const isWhole = bytes[bytes.length - 1] === lineFeed
    const command = (this.#command + end).slice(-commandBytes)
    this.#command = isWhole ? '' : command
    if (isWhole && /compress/i.test(command)) this.#isOpaque = true
  }
}
