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
    },
    additionalProperties: false,
    description: 'users who move from one back-end to another',
  },
} as const
