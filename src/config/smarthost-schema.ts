/** The part of the schema that says where mail goes which is not for a user of ours, or comes of one. */
import { name } from './scalar-schema.ts'

export const smarthost = {
  anyOf: [
    name,
    {
      type: 'object',
      properties: {
        backend: { ...name, description: 'its name' },
        submission: {
          anyOf: [
            { type: 'string', enum: ['xclient'] },
            {
              type: 'object',
              properties: { user: name, password_file: name },
              required: ['user', 'password_file'],
              additionalProperties: false,
            },
          ],
          form: 'xclient, or {user, password_file}',
          description: 'users of back-ends without a submission port send by it: who logs in there',
        },
      },
      required: ['backend'],
      additionalProperties: false,
    },
  ],
  form: 'a back-end, or {backend, submission}',
} as const
