/** The part of the schema that bounds what copying mailboxes may take. */
import { duration, name, size } from './scalar-schema.ts'

const limits = {
  connections: {
    type: 'integer',
    minimum: 3,
    maximum: 1000,
    description: 'connections at once to copy mailboxes by (default: as many as --jobs needs)',
  },
  bytes_per_second: {
    ...size,
    description: 'octets a second, both ways together (default: as many as it gives)',
  },
  commands_per_second: {
    type: 'integer',
    minimum: 1,
    maximum: 100_000,
    description: 'commands a second (default: as many as it answers)',
  },
  latency_limit: {
    ...duration,
    description: 'mean time to an answer above which less is asked of it (default: 1s; 0s: never)',
  },
  bytes_per_day: {
    ...size,
    description: 'octets in a day of the calendar, of all runs (default: no limit)',
  },
  compress: {
    type: 'boolean',
    description: 'compress IMAP where it is offered (default: only of servers elsewhere)',
  },
} as const

/** The key `migrate` of a back-end. */
export const backendMigrateSchema = {
  type: 'object',
  properties: limits,
  additionalProperties: false,
  description: 'what `migrate` and `user move` may take of it',
} as const

/** Keys of the config itself. */
export const migrateProperties = {
  migrate: {
    type: 'object',
    properties: {
      windows: {
        type: 'array',
        items: name,
        minItems: 1,
        description: 'hours in which `migrate` copies, such as mon-fri 22:00-06:00 (default: all)',
      },
      outside: {
        type: 'object',
        properties: limits,
        additionalProperties: false,
        description: 'what `migrate --source` may take of a server elsewhere',
      },
    },
    additionalProperties: false,
    description: 'copying mailboxes',
  },
} as const
