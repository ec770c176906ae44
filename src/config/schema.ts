/**
 * The shape of mailmux.yaml as a JSON Schema: the truth that the validator, the editors
 * (`mailmux config schema`) and docs/config.md share. What a schema cannot say (a port given twice, a
 * smarthost that no back-end bears) is checked in check.ts.
 *
 * `form` says how a value is written, for the message about one that is not.
 * A key marked `notYet` belongs to the contract and is read, but this version does nothing with it;
 * whoever sets it is told so.
 */
import type { Static } from 'typebox'
import { filledSource } from './database-schema.ts'
import { limitSchema } from './limit-schema.ts'
import { loginProperties } from './login-schema.ts'
import { backendMigrateSchema, migrateProperties } from './migrate-schema.ts'
import { moveProperties } from './move-schema.ts'
import { relayProperties } from './relay-schema.ts'
import { duration, name } from './scalar-schema.ts'
import { smarthost } from './smarthost-schema.ts'

const port = { type: 'integer', minimum: 0, maximum: 65535 } as const
const tlsMode = { type: 'string', enum: ['none', 'starttls', 'implicit'] } as const
const account = {
  anyOf: [name, { type: 'integer', minimum: 0, maximum: 4294967294 }],
  form: 'a name or a number',
} as const

const certificate = {
  type: 'object',
  properties: { cert: name, key: name },
  required: ['cert', 'key'],
  additionalProperties: false,
} as const
const pin = { type: 'string', pattern: '^sha256//[A-Za-z0-9+/]{43}=$' } as const

const backendPort = {
  anyOf: [
    port,
    {
      type: 'object',
      properties: { port, tls: tlsMode },
      required: ['port'],
      additionalProperties: false,
    },
  ],
  form: 'a port, or {port, tls}',
} as const

const backend = {
  type: 'object',
  properties: {
    host: { ...name, description: 'host name or address of the back-end' },
    smtp: { ...backendPort, description: 'SMTP: a port, or {port, tls}' },
    lmtp: { ...backendPort, description: 'LMTP: a port, or {port, tls}; preferred over smtp' },
    imap: { ...backendPort, description: 'IMAP: a port, or {port, tls}' },
    pop3: { ...backendPort, description: 'POP3: a port, or {port, tls}' },
    sieve: { ...backendPort, description: 'ManageSieve: a port, or {port, tls}' },
    submission: { ...backendPort, description: 'submission: a port, or {port, tls}' },
    tls: { ...tlsMode, description: 'how to speak to it; starttls never falls back to plain text' },
    tls_ca: { ...name, description: 'PEM file of the authorities that may vouch for it' },
    tls_pin: {
      anyOf: [pin, { type: 'array', items: pin, minItems: 1 }],
      form: 'sha256// and the base64 of a digest, as curl --pinnedpubkey has it, or a list of such',
      description: 'digests of keys, one of which its certificate must have',
    },
    tls_client: {
      ...certificate,
      description: 'PEM files that show it who we are',
    },
    tls_name: { ...name, description: 'the name its certificate must bear (default: host)' },
    admin: {
      type: 'object',
      properties: {
        user: name,
        password_file: name,
        style: { type: 'string', enum: ['master', 'authzid'] },
        separator: { type: 'string', minLength: 1, maxLength: 1 },
      },
      required: ['user', 'password_file'],
      additionalProperties: false,
      description: 'a login that may act for every user there, for `migrate` and `auth`',
    },
    client_address: {
      type: 'string',
      enum: ['none', 'xclient', 'xforward', 'id', 'proxy-v1', 'proxy-v2'],
      description: "how the client's address is passed on",
    },
    connections: {
      type: 'integer',
      minimum: 1,
      maximum: 20000,
      description: 'connections for messages at once to it, from this host (default: 500)',
    },
    logins: {
      type: 'integer',
      minimum: 1,
      maximum: 20000,
      description: 'logins under way at once to it, from this host (default: 500)',
    },
    state: {
      type: 'string',
      enum: ['online', 'draining'],
      description: 'draining: it takes no new users; those who are there stay (default: online)',
    },
    migrate: backendMigrateSchema,
    site: { ...name, description: 'where it stands', notYet: true },
    capacity: { type: 'integer', minimum: 0, description: 'users it has room for', notYet: true },
  },
  required: ['host'],
  additionalProperties: false,
} as const

const listener = {
  anyOf: [
    name,
    {
      type: 'object',
      properties: {
        address: name,
        tls: tlsMode,
        proxy: { type: 'string', enum: ['none', 'require'] },
        greeting_delay: duration,
        bare_newline: { type: 'string', enum: ['reject', 'normalize'] },
        auth_allow_cleartext: { type: 'boolean' },
        client_certificate: { type: 'string', enum: ['none', 'request'] },
      },
      required: ['address'],
      additionalProperties: false,
    },
  ],
  form: 'address:port, or {address, tls, proxy and the other keys of a listener}',
} as const

const listeners = { type: 'array', items: listener } as const

const metricsListener = {
  anyOf: [
    name,
    {
      type: 'object',
      properties: { address: name },
      required: ['address'],
      additionalProperties: false,
    },
  ],
  form: 'address:port, or {address}',
} as const

const metricsListeners = { type: 'array', items: metricsListener } as const

/** The whole config file. */
export const configSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'mailmux.yaml',
  type: 'object',
  properties: {
    hostname: { ...name, description: 'the name that greets clients and back-ends' },
    domains: {
      type: 'array',
      items: name,
      minItems: 1,
      description: 'the domains whose mail this is',
    },
    default_domain: {
      ...name,
      description: 'the domain of a login without one (default: the first of domains)',
    },
    recipient_delimiter: {
      type: 'string',
      maxLength: 1,
      description: 'divides user and detail in user+detail@domain; "" for none',
    },
    fold_case: {
      type: 'boolean',
      description: 'ASCII letters of local parts compare without case (default: true)',
    },
    smarthost: {
      ...smarthost,
      description: 'the back-end that takes mail for addresses elsewhere',
    },
    postmaster: { ...name, description: 'where mail for <postmaster> without a domain goes' },
    backends: {
      type: 'object',
      patternProperties: { '^[A-Za-z0-9][A-Za-z0-9._-]*$': backend },
      minProperties: 1,
      additionalProperties: false,
      description: 'the servers that hold mailboxes, by short name',
    },
    map: {
      type: 'object',
      properties: {
        aliases: { ...filledSource, description: 'Sendmail aliases: files, or a database' },
        user_map: { ...filledSource, description: 'makemap text: files, or a database' },
        popmap: { ...filledSource, description: 'Perdition popmap: files, or a database' },
        query_key: {
          ...name,
          description:
            'the keys that popmap is asked for, as in Perdition, where they are no addresses',
        },
        rules: { ...name, description: 'rules, first match wins: a file, or a directory of files' },
        database: { ...name, description: 'the compiled map (default: map.db in state_dir)' },
        max_changed: {
          type: 'string',
          pattern: '^[0-9]+(\\.[0-9]+)?%$',
          form: 'a share such as 10%',
          description: 'the share of users that one build may send elsewhere (default: 10%)',
        },
        history: {
          type: 'integer',
          minimum: 0,
          maximum: 1000,
          description: 'how many older databases are kept to go back to (default: 10)',
        },
      },
      additionalProperties: false,
      description: 'the sources of the map and the database that is built from them',
    },
    listen: {
      type: 'object',
      properties: {
        smtp: { ...listeners, description: 'SMTP relay' },
        lmtp: { ...listeners, description: 'LMTP relay, for hosts of our own' },
        imap: { ...listeners, description: 'IMAP proxy' },
        pop3: { ...listeners, description: 'POP3 proxy' },
        sieve: { ...listeners, description: 'ManageSieve proxy' },
        submission: { ...listeners, description: 'submission proxy' },
        metrics: { ...metricsListeners, description: 'metrics and health, over HTTP' },
      },
      additionalProperties: false,
      description: 'where the daemons listen, by service',
    },
    tls: {
      type: 'object',
      properties: {
        certificates: {
          type: 'array',
          items: certificate,
          description: 'PEM files; the first is shown to clients that name no known host',
        },
        min_version: { type: 'string', enum: ['TLSv1.2', 'TLSv1.3'] },
        client_ca: {
          ...name,
          description: 'PEM file of the authorities whose certificates log clients in (EXTERNAL)',
        },
        client_crl: { ...name, description: 'PEM file of the revocation lists of all of them' },
        client_user: {
          type: 'string',
          enum: ['rfc822Name', 'emailAddress', 'commonName'],
          description: 'what of such a certificate names its user (default: rfc822Name)',
        },
      },
      additionalProperties: false,
      description: 'what clients see',
    },
    trusted_proxies: {
      type: 'array',
      items: name,
      description: 'networks that may say whom they speak for: PROXY, XCLIENT, XFORWARD',
    },
    client_names: {
      type: 'string',
      enum: ['dns', 'none'],
      description: 'whether the names of SMTP clients are looked up, for Received (default: dns)',
    },
    dns_servers: {
      type: 'array',
      items: name,
      description:
        "whom to ask for them: addresses, with a port or without (default: the system's)",
    },
    limits: limitSchema,
    probe_interval: {
      ...duration,
      description: 'how long a port of a back-end may be unused before it is probed; 0s: never',
    },
    ...relayProperties,
    ...loginProperties,
    ...moveProperties,
    ...migrateProperties,
    workers: {
      anyOf: [
        { type: 'integer', minimum: 1, maximum: 256 },
        { type: 'string', enum: ['auto'] },
      ],
      form: 'auto, or a number from 1 to 256',
      description: 'worker processes; auto: one for each core',
    },
    user: { ...account, description: 'whom the workers run as, where root starts the daemon' },
    group: { ...account, description: 'their group (default: that of the user)' },
    state_dir: { ...name, description: 'durable state (default: /var/lib/mailmux)' },
    run_dir: { ...name, description: 'control socket (default: /run/mailmux)' },
  },
  required: ['hostname', 'domains', 'backends'],
  additionalProperties: false,
} as const

/** The file as it was read and validated, before defaults. */
export type RawConfig = Static<typeof configSchema>
