/** A joined ManageSieve session: where `BYE` may stand. RFC 5804 section 1.2. */
import { type FarewellReason, LiteralWatch } from '../joined-watch.ts'

const farewells = {
  shutdown: 'BYE (TRYLATER) "Server is stopping, try again later."\r\n',
  kicked: 'BYE (TRYLATER) "This session was ended, log in again."\r\n',
} as const

export class SieveWatch extends LiteralWatch {
  farewell(why: FarewellReason): string {
    return farewells[why]
  }
}
