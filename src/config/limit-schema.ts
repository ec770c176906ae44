/** The part of the schema that bounds what clients and back-ends may use. */
import { duration, size } from './scalar-schema.ts'

const rate = {
  type: 'string',
  pattern: '^[1-9][0-9]{0,3}/(second|minute|hour|day)$',
  form: 'a number up to 9999 and second, minute, hour or day, such as 60/minute',
} as const
const perAddress = { type: 'integer', minimum: 0, maximum: 60000 } as const

/** The key `limits`. */
export const limitSchema = {
  type: 'object',
  properties: {
    sessions: { type: 'integer', minimum: 1, description: 'sessions at once on this host' },
    sessions_per_ip: {
      anyOf: [
        perAddress,
        {
          type: 'object',
          properties: {
            smtp: perAddress,
            lmtp: perAddress,
            imap: perAddress,
            pop3: perAddress,
            sieve: perAddress,
            submission: perAddress,
          },
          additionalProperties: false,
        },
      ],
      form: 'a number, or {smtp, lmtp, imap, pop3, sieve, submission}; 0 for no limit',
      description: 'sessions at once from one address, for each service',
    },
    connections_per_ip: { ...rate, description: 'new connections from one address, by service' },
    messages_per_ip: { ...rate, description: 'messages from one address (SMTP, LMTP)' },
    recipients_per_ip: { ...rate, description: 'recipients from one address (SMTP, LMTP)' },
    exempt: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      description: 'networks without limits for each address (default: this host)',
    },
    message_size: { ...size, description: 'the largest message taken' },
    auth_failures_per_ip: { ...rate, description: 'failed logins from one address' },
    auth_failures_alarm: {
      ...rate,
      description: 'failed logins on this host, beyond which an alarm is raised (600/minute)',
    },
    auth_failure_delay: {
      ...duration,
      description: 'the wait before a failure reply; doubled for each failure before it',
    },
    connect_timeout: { ...duration, description: 'the wait for a connection to a back-end' },
    login_timeout: {
      ...duration,
      description: 'the wait for a back-end to greet and take a login',
    },
    preauth_timeout: { ...duration, description: 'the time a client has to log in' },
    command_timeout: { ...duration, description: 'the time an SMTP client may be silent' },
    data_timeout: {
      ...duration,
      description: "the wait for a back-end's verdict on a message",
    },
    session_timeout: { ...duration, description: 'the time a joined session may be silent' },
    drain_timeout: { ...duration, description: 'the time that sessions have to end at a stop' },
  },
  additionalProperties: false,
} as const
