/** `serve smtp`: the relay of incoming mail. */
import { startRelaySession } from '../relay/start-relay-session.ts'

export const startSmtpSession = startRelaySession('smtp')
