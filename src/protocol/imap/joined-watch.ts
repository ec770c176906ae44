/** A joined IMAP session: where `* BYE` may stand. RFC 9051 section 7.1.5. */
import { type FarewellReason, LiteralWatch } from '../joined-watch.ts'
import type { AcceptedLogin } from '../login.ts'

const farewells = {
  shutdown: '* BYE [UNAVAILABLE] Server is stopping, try again later.\r\n',
  kicked: '* BYE [UNAVAILABLE] This session was ended, log in again.\r\n',
} as const

export class ImapWatch extends LiteralWatch {
  /** The bytes may be compressed (RFC 4978), and then are no lines. */
  readonly #isOpaque: boolean

  constructor({ capabilities }: AcceptedLogin) {
    super()
    this.#isOpaque = capabilities === '' || /\bCOMPRESS=/i.test(capabilities)
  }

  override get isAtBoundary(): boolean {
    return !this.#isOpaque && super.isAtBoundary
  }

  farewell(why: FarewellReason): string {
    return farewells[why]
  }
}
