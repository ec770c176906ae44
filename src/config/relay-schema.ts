/** The part of the schema that says what the relay does with what one back-end does not settle. */
import { duration, size } from './scalar-schema.ts'

const fanOutPolicy = { type: 'string', enum: ['all', 'split'] } as const

const fanOut = {
  anyOf: [
    fanOutPolicy,
    {
      type: 'object',
      properties: {
        policy: fanOutPolicy,
        stall: {
          ...duration,
          description: 'the time that one back-end may hold up a message for others',
        },
      },
      additionalProperties: false,
    },
  ],
  form: 'all or split, or {policy, stall}',
} as const

/** Keys of the config itself. */
export const relayProperties = {
  fanout: {
    ...fanOut,
    description: 'a message for several back-ends: to all at once, or split by the sender',
  },
  on_backend_down: {
    type: 'string',
    enum: ['answer', 'spool'],
    description: 'mail for a back-end that cannot be reached: left to the sender, or kept here',
  },
  spool: {
    type: 'object',
    properties: {
      max_size: {
        ...size,
        description: 'the most that messages in it may take (default: 10GiB)',
      },
      max_messages: {
        type: 'integer',
        minimum: 1,
        description: 'the most messages in it (default: 100000)',
      },
      max_age: {
        ...duration,
        description: 'how long delivery is tried before the sender is told it failed (default: 5d)',
      },
      warn_after: {
        ...duration,
        description: 'when the sender is told that delivery is late (default: 4h)',
      },
    },
    additionalProperties: false,
    description: 'messages that were accepted and still owed to some of their recipients',
  },
} as const
