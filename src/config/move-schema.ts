/** The part of the schema that says how users are moved. */
import { duration } from './scalar-schema.ts'

/** Keys of the config itself. */
export const moveProperties = {
  move: {
    type: 'object',
    properties: {
      hold: {
        ...duration,
        description: 'how long a login waits while its user is frozen (default: 20s)',
      },
      freeze_target: {
        ...duration,
        description: 'a user is frozen when a pass takes no longer than this (default: 3s)',
      },
      freeze_limit: {
        ...duration,
        description: 'how long a user may be frozen before the move is given up (default: 90s)',
      },
      quiet_time: {
        ...duration,
        description: 'how long a frozen mailbox is watched before its user moves (default: 0s)',
      },
      retain: {
        ...duration,
        description: 'how long the mailbox is kept where a user was (default: 14d)',
      },
      due_every: {
        ...duration,
        description: 'how often the daemon looks what is due of moves, 0s: never (default: 1m)',
      },
    },
    additionalProperties: false,
    description: 'users who move from one back-end to another',
  },
} as const
