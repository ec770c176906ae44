/** The part of the schema that says how a database stands in for a text source. */
import type { Static } from 'typebox'
import { ldapConventionNames } from './ldap-conventions.ts'
import { name } from './scalar-schema.ts'

const attributes = {
  type: 'object',
  properties: {
    key: {
      anyOf: [name, { type: 'array', items: name, minItems: 1 }],
      form: 'the name of an attribute, or a list of names',
      description: 'attributes whose every value is a key',
    },
    host: { ...name, description: 'the attribute that names the back-end' },
    port: { ...name, description: 'the attribute with its port' },
    user: { ...name, description: 'the attribute with the name to use there' },
    address: { ...name, description: 'the attribute with the address to use there, or to go to' },
    targets: { ...name, description: 'the attribute with the targets of an alias' },
  },
  additionalProperties: false,
} as const

const database = {
  type: 'object',
  properties: {
    url: {
      ...name,
      description: 'postgres://user@host/database, mysql://…, ldap://host, ldaps://…',
    },
    password_file: { ...name, description: 'the file that holds the password' },
    tls: {
      type: 'string',
      enum: ['none', 'starttls'],
      description: 'starttls never falls back to plain text; ldaps:// has TLS from the beginning',
    },
    tls_ca: { ...name, description: 'PEM file of the authorities that may vouch for it' },
    timeout: {
      type: 'string',
      pattern: '^[0-9]+ ?(ms|s|m|h|d)$',
      form: 'a number and ms, s, m, h or d, such as 30s',
      description: 'how long the whole reading may take (default: 5m)',
    },
    socket: { ...name, description: "SQL: the server's local socket (PostgreSQL: its folder)" },
    query: { ...name, description: 'SQL: a query that gives two columns, key and value' },
    bind_dn: { ...name, description: 'LDAP: who we are there (default: nobody)' },
    base: { ...name, description: 'LDAP: the entry to search under' },
    scope: {
      type: 'string',
      enum: ['base', 'one', 'sub'],
      description: 'LDAP: how deep to search (default: sub)',
    },
    filter: { ...name, description: 'LDAP: which entries' },
    convention: {
      type: 'string',
      enum: ldapConventionNames,
      description: 'LDAP: a known set of attributes, and the filter for it',
    },
    attributes: { ...attributes, description: 'LDAP: which attributes say what' },
    local_hosts: {
      type: 'array',
      items: name,
      description: 'LDAP: hosts that mean as much as none, besides hostname',
    },
    no_host: {
      type: 'string',
      enum: ['pass', 'reject'],
      description: 'LDAP: who has neither host nor address goes by rules, or is refused',
    },
  },
  required: ['url'],
  additionalProperties: false,
} as const

const part = {
  anyOf: [name, database],
  form: 'a file or directory, or a database {url, …}',
} as const

/** A source that may be text, a database, or both. */
export const filledSource = {
  anyOf: [name, database, { type: 'array', items: part, minItems: 1 }],
  form: 'a file or directory, a database {url, …}, or a list of them',
} as const

/** A database as the file names it. */
export type RawDatabase = Static<typeof database>
