/** `serve smtp`: the relay of incoming mail. */
import { startRelaySession } from '../start-relay-session.ts'

export const startSmtpSession = startRelaySession('smtp')
