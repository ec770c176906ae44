/** The part of the schema that says how clients of the proxies may log in. */

const mechanisms = {
  type: 'array',
  items: {
    type: 'string',
    enum: ['PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'OAUTHBEARER', 'XOAUTH2', 'EXTERNAL'],
  },
  minItems: 1,
} as const

/** Keys of the config itself. */
export const loginProperties = {
  mechanisms: {
    type: 'object',
    properties: {
      imap: { ...mechanisms, description: 'of IMAP' },
      pop3: { ...mechanisms, description: 'of POP3' },
      sieve: { ...mechanisms, description: 'of ManageSieve' },
      submission: { ...mechanisms, description: 'of submission' },
    },
    additionalProperties: false,
    description: 'SASL mechanisms to offer, where all back-ends do (default: all that they do)',
  },
  auth: {
    type: 'object',
    properties: {
      mode: {
        type: 'string',
        enum: ['passthrough', 'verify'],
        description: 'passthrough: back-ends judge logins; verify: we do, and log in as admin',
      },
      passwd_file: { type: 'string', minLength: 1, description: 'verify: names and hashes' },
      ldap: {
        type: 'object',
        properties: {
          url: {
            type: 'string',
            pattern: '^ldaps?://(?:[A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+\\])(?::[0-9]{1,5})?/?$',
            form: 'ldap://HOST or ldaps://HOST, with a port or without',
            description: 'the directory',
          },
          tls: { type: 'string', enum: ['none', 'starttls'], description: 'ldap:// alone' },
          tls_ca: { type: 'string', minLength: 1, description: 'who may vouch for it: a PEM file' },
          dn: {
            type: 'string',
            pattern: '\\{(?:user|local)\\}',
            form: 'the name of an entry with {user} or {local} in it',
            description: 'the entry of a user',
          },
        },
        required: ['url', 'dn'],
        additionalProperties: false,
        description: 'verify: a directory that users can log in at',
      },
    },
    additionalProperties: false,
    description: 'who judges logins',
  },
  check_sender: {
    type: 'string',
    enum: ['none', 'own', 'own-or-null'],
    description: 'submission: whom a user may send as (default: none, the back-end decides)',
  },
} as const
