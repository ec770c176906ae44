/** Values that many keys of the schema have. */

export const name = { type: 'string', minLength: 1 } as const
export const duration = {
  type: 'string',
  pattern: '^[0-9]+ ?(ms|s|m|h|d)$',
  form: 'a number and ms, s, m, h or d, such as 30s',
} as const
export const size = {
  anyOf: [
    { type: 'integer', minimum: 0 },
    { type: 'string', pattern: '^[0-9]+ ?(B|KiB|MiB|GiB|KB|MB|GB|k|M|G)?$' },
  ],
  form: 'a number of bytes, or one with a unit such as 50MiB',
} as const
