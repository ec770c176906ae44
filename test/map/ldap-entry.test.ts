/** What entries of a directory become, for every state that they can be in. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FilledSource, LdapConfig } from '../../src/config/database-config.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { BackendTable } from '../../src/map/backend-table.ts'
import { decisions, ldapRows } from '../../src/map/sources/ldap-entry.ts'

function settingsOf(source: FilledSource, settings: string) {
  const text = `hostname: mx1.example.com
domains: [example.com]
backends:
  fritz: {host: fritz.example.com, lmtp: 24, imap: 143}
  six: {host: "2001:db8::6", lmtp: 24, imap: 143}
map: {${source}: {url: ldap://x, base: o=x, ${settings}}}
`
  const parsed = parseConfig(text, '/mailmux.yaml')
  assert.ok('config' in parsed, JSON.stringify(parsed))
  const { config } = parsed
  const [database] = config.map.databases
  assert.ok(database?.kind === 'ldap')
  const backends = new BackendTable(config.backends.values())
  return { database, context: { naming: config.naming, backends } }
}

type Attributes = Readonly<Record<string, string | readonly string[]>>

/** `key value`, or `! refusal`, one for each row. */
function rowsOf(source: FilledSource, settings: string, attributes: Attributes): string[] {
  const { database, context } = settingsOf(source, settings)
  const values = new Map(
    Object.entries(attributes).map(([name, value]) => [name.toLowerCase(), [value].flat()]),
  )
  const entry = { dn: 'uid=ann,o=x', values }
  return ldapRows(entry, database satisfies LdapConfig, context).map((row) => {
    assert.equal(row.entry, 'uid=ann,o=x')
    return 'refused' in row ? `! ${row.refused}` : `${row.key} ${row.value}`
  })
}

const hosts = {
  none: undefined,
  local: 'MX1.example.com',
  other: 'fritz.example.com',
} as const
const addresses = {
  none: undefined,
  own: 'Ann@Example.COM',
  other: 'ann@internal.example.com',
} as const

/** Every state of mailHost and mailRoutingAddress: as user_map, as user_map with reject, as popmap. */
const table: readonly (readonly [
  host: keyof typeof hosts,
  address: keyof typeof addresses,
  userMap: string,
  rejecting: string,
  popmap: string,
])[] = [
  ['none', 'none', '', 'error:5.1.1:550 No such user', ''],
  ['none', 'own', '', '', ''],
  ['none', 'other', 'ann@internal.example.com', 'ann@internal.example.com', ''],
  ['local', 'none', '', '', ''],
  ['local', 'own', '', '', ''],
  ['local', 'other', 'ann@internal.example.com', 'ann@internal.example.com', ''],
  ['other', 'none', 'fritz.example.com', 'fritz.example.com', 'fritz.example.com'],
  ['other', 'own', 'fritz.example.com', 'fritz.example.com', 'fritz.example.com'],
  [
    'other',
    'other',
    'ann@internal.example.com@fritz.example.com',
    'ann@internal.example.com@fritz.example.com',
    'ann@internal.example.com@fritz.example.com',
  ],
]

function rowOfAnn(value: string): string[] {
  return value === '' ? [] : [`ann@example.com ${value}`]
}

describe('inetLocalMailRecipient', () => {
  const convention = 'convention: inetLocalMailRecipient'

  test('the table has a row for every state', () => {
    const states = Object.entries(decisions).flatMap(([host, row]) =>
      Object.keys(row).map((address) => `${host} ${address}`),
    )
    assert.deepEqual(
      table.map(([host, address]) => `${host} ${address}`),
      states,
    )
  })

  for (const [host, address, userMap, rejecting, popmap] of table) {
    test(`mailHost ${host}, mailRoutingAddress ${address}`, () => {
      const attributes = Object.fromEntries(
        Object.entries({
          mailLocalAddress: 'ann@example.com',
          mailHost: hosts[host],
          mailRoutingAddress: addresses[address],
        }).filter(([, value]) => value !== undefined),
      ) as Attributes
      assert.deepEqual(rowsOf('user_map', convention, attributes), rowOfAnn(userMap))
      const reject = `${convention}, no_host: reject`
      assert.deepEqual(rowsOf('user_map', reject, attributes), rowOfAnn(rejecting))
      assert.deepEqual(rowsOf('popmap', convention, attributes), rowOfAnn(popmap))
    })
  }

  test('every address of an entry is a key, whole domains too', () => {
    const mailLocalAddress = ['ann@example.com', 'ann', '@example.com', 'ANN@example.com']
    const rows = rowsOf('user_map', convention, { mailLocalAddress, mailHost: 'fritz' })
    assert.deepEqual(rows.toSorted(), ['@example.com fritz', 'ann fritz', 'ann@example.com fritz'])
  })

  test('hosts that mean this one can be named, and a back-end never is one', () => {
    const entry = { mailLocalAddress: 'ann@example.com', mailHost: 'mail.example.com' }
    const local = `${convention}, local_hosts: [Mail.example.com, fritz.example.com]`
    assert.deepEqual(rowsOf('user_map', local, entry), [])
    const fritz = { ...entry, mailHost: 'fritz.example.com' }
    assert.deepEqual(rowsOf('user_map', local, fritz), ['ann@example.com fritz.example.com'])
  })

  test('what cannot be told apart is refused', () => {
    const entry = { mailLocalAddress: 'ann@example.com' }
    const two = { ...entry, mailHost: ['fritz', 'ingrid'] }
    assert.deepEqual(rowsOf('user_map', convention, two), [
      '! there are several values of mailHost',
    ])
    const odd = { ...entry, mailHost: 'error:5.1.1' }
    assert.deepEqual(rowsOf('user_map', convention, odd), ['! "error:5.1.1" is no host'])
    const bare = { ...entry, mailRoutingAddress: 'defer:x' }
    assert.deepEqual(rowsOf('user_map', convention, bare), [
      '! "defer:x" is no address to go on to',
    ])
  })
})

const others: readonly (readonly [
  name: string,
  source: FilledSource,
  settings: string,
  attributes: Attributes,
  expected: readonly string[],
])[] = [
  [
    'qmail-ldap: all addresses are at mailHost',
    'user_map',
    'convention: qmail-ldap',
    {
      mail: 'ann@example.com',
      mailAlternateAddress: ['a@example.com', 'ann@example.com'],
      mailHost: 'fritz',
    },
    ['a@example.com fritz', 'ann@example.com fritz'],
  ],
  [
    'Zimbra: all addresses are at zimbraMailHost',
    'user_map',
    'convention: zimbra',
    {
      zimbraMailDeliveryAddress: 'ann@example.com',
      mail: ['ann@example.com', 'a@example.com'],
      zimbraMailAlias: 'a@example.com',
      zimbraMailHost: 'fritz.example.com',
    },
    ['a@example.com fritz.example.com', 'ann@example.com fritz.example.com'],
  ],
  [
    'Kolab: mail and alias are at mailHost',
    'user_map',
    'convention: kolab',
    { mail: 'ann@example.com', alias: 'a@example.com', mailHost: 'fritz' },
    ['a@example.com fritz', 'ann@example.com fritz'],
  ],
  [
    'Perdition: user, host and port',
    'popmap',
    'convention: perdition',
    { uid: 'ann', username: 'ann.b', mailhost: 'fritz', port: '143' },
    ['ann ann.b@fritz:143'],
  ],
  [
    'Perdition: a host alone',
    'popmap',
    'convention: perdition',
    { uid: 'ann', mailhost: '2001:db8::6', port: '143' },
    ['ann [2001:db8::6]:143'],
  ],
  [
    'Perdition: no host, no row',
    'popmap',
    'convention: perdition',
    { uid: 'ann', username: 'ann.b' },
    [],
  ],
  [
    'proxyAddresses: mail for other names goes on to the mailbox',
    'user_map',
    'convention: proxyAddresses, attributes: {host: serverName}',
    {
      proxyAddresses: [
        'smtp:a@example.com',
        'SMTP:ann@example.com',
        'X400:c=de',
        'sip:ann@example.com',
      ],
      serverName: 'fritz',
    },
    ['a@example.com ann@example.com', 'ann@example.com fritz'],
  ],
  [
    'proxyAddresses: without a host, the mailbox is for rules',
    'user_map',
    'convention: proxyAddresses',
    { proxyAddresses: ['SMTP:ann@example.com', 'smtp:a@example.com'] },
    ['a@example.com ann@example.com'],
  ],
  [
    'proxyAddresses: logins with another name are those of the mailbox',
    'popmap',
    'convention: proxyAddresses, attributes: {host: serverName}',
    { proxyAddresses: ['SMTP:ann@example.com', 'smtp:a@example.com'], serverName: 'fritz' },
    ['a@example.com ann@example.com@fritz', 'ann@example.com fritz'],
  ],
  [
    'proxyAddresses: other names are aliases',
    'aliases',
    'convention: proxyAddresses',
    { proxyAddresses: ['SMTP:ann@example.com', 'smtp:a@example.com'] },
    ['a@example.com ann@example.com'],
  ],
  [
    'proxyAddresses: one must be the mailbox',
    'aliases',
    'convention: proxyAddresses',
    { proxyAddresses: ['smtp:a@example.com'] },
    ['! proxyAddresses has no SMTP: address'],
  ],
  [
    'lists: a row for every target',
    'aliases',
    'convention: nisMailAlias',
    { cn: ['team', 'crew'], rfc822MailMember: ['bob', 'ann'] },
    ['crew ann', 'crew bob', 'team ann', 'team bob'],
  ],
  [
    'own attributes: the name to use there goes before the address',
    'user_map',
    'attributes: {key: mail, host: h, user: u, address: a}',
    { MAIL: 'ann@example.com', H: 'lmtp:fritz', U: 'ann.b', A: 'ann@internal.example.com' },
    ['ann@example.com ann.b@fritz'],
  ],
  [
    'own attributes: an entry without a key has no row',
    'user_map',
    'attributes: {key: mail, host: h}',
    { h: 'fritz' },
    [],
  ],
  [
    'own attributes: a port is a number',
    'user_map',
    'attributes: {key: mail, host: h, port: p}',
    { mail: 'ann@example.com', h: 'fritz:24', p: 'imap' },
    ['! "imap" is no port'],
  ],
]

for (const [name, source, settings, attributes, expected] of others) {
  test(name, () => assert.deepEqual(rowsOf(source, settings, attributes).toSorted(), expected))
}
