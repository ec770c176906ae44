/** The part of the schema that bounds what clients and back-ends may use. */
import { duration, size } from './scalar-schema.ts'

/** The key `limits`. */
export const limitSchema = {
  type: 'object',
  properties: {
    sessions: { type: 'integer', minimum: 1, description: 'sessions at once on this host' },
    sessions_per_ip: { type: 'integer', minimum: 1, notYet: true },
    message_size: { ...size, description: 'the largest message taken' },
    auth_failures_per_ip: { type: 'string', notYet: true },
    auth_failure_delay: {
      ...duration,
      description: 'the wait before the first failure reply; doubled for each further one',
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
