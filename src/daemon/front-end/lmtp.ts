/** `serve lmtp`: the relay for hosts of our own, which hear of each recipient (RFC 2033). */
import { startRelaySession } from '../relay/start-relay-session.ts'

export const startLmtpSession = startRelaySession('lmtp')
