import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatProblem } from '../../src/base/problem.ts'
import type { AddressLimits, Config } from '../../src/config/config.ts'
import { parseConfig } from '../../src/config/parse.ts'

const minimal = `hostname: mx1.example.com
domains: [example.com]
backends:
  fritz: {host: 10.0.0.11, lmtp: 24, imap: 143}
`

function problemsIn(text: string): string[] {
  const parsed = parseConfig(text, '/etc/mailmux/mailmux.yaml')
  assert.ok('problems' in parsed, 'the config was taken')
  return parsed.problems.map(formatProblem).map((line) => line.replace('/etc/mailmux/', ''))
}

function configOf(text: string): Config {
  const parsed = parseConfig(text, '/etc/mailmux/mailmux.yaml')
  if ('problems' in parsed) assert.fail(parsed.problems.map(formatProblem).join('\n'))
  return parsed.config
}

test('a minimal config gets its defaults, with paths from the folder of the file', () => {
  const config = configOf(
    `${minimal}map: {user_map: user_map}\nlisten: {imap: ["[::1]:143", "1143"]}\n`,
  )
  assert.equal(config.map.userMap, '/etc/mailmux/user_map')
  assert.equal(config.map.database, '/var/lib/mailmux/map.db')
  assert.equal(config.naming.defaultDomain, 'example.com')
  assert.equal(config.postmaster, 'postmaster@example.com')
  assert.equal(config.limits.messageSizeBytes, 50 * 1024 * 1024)
  assert.deepEqual(
    config.listeners.map(({ host, port, tls }) => [host, port, tls]),
    [
      ['::1', 143, 'none'],
      ['::', 1143, 'none'],
    ],
  )
  assert.deepEqual(config.backends.get('fritz')?.endpoints.imap, {
    host: '10.0.0.11',
    port: 143,
    tls: 'none',
  })
})

test('domains are compared as lower-case A-labels', () => {
  const config = configOf(minimal.replace('[example.com]', '[EXAMPLE.com., Bücher.example]'))
  assert.deepEqual([...config.naming.domains], ['example.com', 'xn--bcher-kva.example'])
})

test('a port may have a TLS mode of its own', () => {
  const config = configOf(
    minimal.replace('imap: 143}', 'imap: {port: 993, tls: implicit}, tls: starttls}'),
  )
  const endpoints = config.backends.get('fritz')?.endpoints
  assert.equal(endpoints?.imap?.tls, 'implicit')
  assert.equal(endpoints?.lmtp?.tls, 'starttls')
})

const wrong: readonly (readonly [name: string, text: string, expected: readonly string[]])[] = [
  [
    'an unknown key names the nearest known one',
    `${minimal}defalt_domain: example.com\n`,
    ['mailmux.yaml:5:1: error: defalt_domain: unknown key; did you mean default_domain?'],
  ],
  [
    'an unknown key inside a back-end has its own place',
    minimal.replace('lmtp: 24', 'lmpt: 24'),
    ['mailmux.yaml:4:28: error: backends.fritz.lmpt: unknown key; did you mean lmtp?'],
  ],
  [
    'a key of the long form of a port is known too',
    minimal.replace('imap: 143', 'imap: {prt: 143, port: 1}'),
    ['mailmux.yaml:4:45: error: backends.fritz.imap.prt: unknown key; did you mean port?'],
  ],
  [
    'a wrong word names the words and the nearest',
    minimal.replace('imap: 143', 'imap: 143, tls: startls'),
    [
      'mailmux.yaml:4:54: error: backends.fritz.tls: must be one of none, starttls, implicit; did you mean starttls?',
    ],
  ],
  [
    'a duration without its unit says how one is written',
    `${minimal}limits: {connect_timeout: 5}\n`,
    [
      'mailmux.yaml:5:27: error: limits.connect_timeout: must be a number and ms, s, m, h or d, such as 30s',
    ],
  ],
  [
    'what must be there is named',
    'hostname: mx\nbackends: {a: {host: x, imap: 1}}\n',
    ['mailmux.yaml:1:1: error: domains is missing; the domains whose mail this is'],
  ],
  [
    'a smarthost must be a back-end',
    `${minimal}smarthost: frits\n`,
    ['mailmux.yaml:5:12: error: smarthost: no back-end is called frits; did you mean fritz?'],
  ],
  [
    'so must one of several words',
    `${minimal}smarthost: {backend: frits}\n`,
    ['mailmux.yaml:5:22: error: smarthost: no back-end is called frits; did you mean fritz?'],
  ],
  [
    'a smarthost that users send by takes submission',
    `${minimal.replace('imap: 143', 'imap: 143, smtp: 25')}smarthost: {backend: fritz, submission: xclient}\n`,
    ['mailmux.yaml:5:22: error: smarthost: fritz has no submission port'],
  ],
  [
    'users send by it with a login, or by XCLIENT',
    `${minimal}smarthost: {backend: fritz, submission: trust}\n`,
    ['mailmux.yaml:5:41: error: smarthost.submission: must be xclient, or {user, password_file}'],
  ],
  ...['not a host', '10.0.0.300', '[::1]', '10.0.0.11:143', 'fritz..example'].map(
    (host) =>
      [
        `a back-end is at a host, not at ${host}`,
        minimal.replace('10.0.0.11', JSON.stringify(host)),
        [
          `mailmux.yaml:4:17: error: backends.fritz.host: "${host}" is no host; write a name of DNS, or an address without brackets`,
        ],
      ] as const,
  ),
  [
    'a default domain must be ours',
    `${minimal}default_domain: example.org\n`,
    [
      'mailmux.yaml:5:17: error: default_domain: is not one of domains; add it to domains, or name one of them',
    ],
  ],
  [
    'an address is listened on once',
    `${minimal}listen: {imap: ["127.0.0.1:143"], pop3: ["127.0.0.1:143"]}\n`,
    ['mailmux.yaml:5:42: error: listen.pop3.0: 127.0.0.1:143 is listened on already'],
  ],
  [
    'TLS towards clients needs a certificate',
    `${minimal}listen: {imap: [{address: "127.0.0.1:993", tls: implicit}]}\n`,
    [
      'mailmux.yaml:5:17: error: listen.imap.0: tls implicit needs a certificate; give tls.certificates',
    ],
  ],
  [
    'a network is written as one',
    `${minimal}trusted_proxies: [10.0.0.0/8, proxy.example.com, 10.0.0.0/33]\n`,
    [
      'mailmux.yaml:5:31: error: trusted_proxies.1: "proxy.example.com" is no network; write 10.0.1.0/24, 2001:db8::/32 or one address',
      'mailmux.yaml:5:50: error: trusted_proxies.2: "10.0.0.0/33" is no network; write 10.0.1.0/24, 2001:db8::/32 or one address',
    ],
  ],
  [
    'a network without limits is written as one too',
    `${minimal}limits: {exempt: [10.0.0.0/8, mx.example.com]}\n`,
    [
      'mailmux.yaml:5:31: error: limits.exempt.1: "mx.example.com" is no network; write 192.0.2.0/24, 2001:db8::/32, or one address',
    ],
  ],
  [
    'a rate is a number and a time',
    `${minimal}limits: {connections_per_ip: 60/fortnight, messages_per_ip: 0/hour}\n`,
    [
      'mailmux.yaml:5:30: error: limits.connections_per_ip: must be a number up to 9999 and second, minute, hour or day, such as 60/minute',
      'mailmux.yaml:5:61: error: limits.messages_per_ip: must be a number up to 9999 and second, minute, hour or day, such as 60/minute',
    ],
  ],
  [
    'a listener that requires a proxy needs one that is trusted',
    `${minimal}listen: {lmtp: [{address: "127.0.0.1:24", proxy: require}]}\n`,
    [
      'mailmux.yaml:5:43: error: listen.lmtp.0.proxy: require needs a proxy that is trusted; name its network in trusted_proxies',
    ],
  ],
  [
    'a name server is an address',
    `${minimal}dns_servers: [10.0.0.53, "[2001:db8::53]:53", "10.0.0.53:53", 2001:db8::53, ns.example.com]\n`,
    [
      'mailmux.yaml:5:77: error: dns_servers.4: "ns.example.com" is no address; write 10.0.0.53, "10.0.0.53:5353" or "[2001:db8::53]:53"',
    ],
  ],
  [
    'a key given twice is a fault of the file',
    `${minimal}hostname: mx2\n`,
    ['mailmux.yaml:5:1: error: Map keys must be unique'],
  ],
  [
    'an empty file says where to start',
    '',
    [
      'mailmux.yaml:1:1: error: the file holds no settings; start from the example in docs/config.md',
    ],
  ],
]

for (const [name, text, expected] of wrong) {
  test(name, () => assert.deepEqual(problemsIn(text), expected))
}

test('every problem is reported at once, in the order of the file', () => {
  const text = `hostname: mx1.example.com
domains: [example.com, "not a domain"]
recipient_delimiter: "--"
backends:
  fritz: {host: 10.0.0.11, imap: {port: many}, tls: maybe}
listen: {smtp: ["[::]:25", "nowhere"]}
workers: many
`
  const places = problemsIn(text).map((line) => line.split(': ')[0])
  assert.deepEqual(places, [
    'mailmux.yaml:2:24',
    'mailmux.yaml:3:22',
    'mailmux.yaml:5:41',
    'mailmux.yaml:5:53',
    'mailmux.yaml:6:28',
    'mailmux.yaml:7:10',
  ])
})

function limitsOf(limits: string): AddressLimits {
  return configOf(`${minimal}limits: ${limits}\n`).limits.perAddress
}

test('limits for an address hold for every service, or are told apart', () => {
  assert.deepEqual(limitsOf('{}'), {
    sessions: { smtp: 50, lmtp: 500, imap: 500, pop3: 500, sieve: 500, submission: 500 },
    connections: undefined,
    messages: undefined,
    recipients: undefined,
    authFailures: undefined,
    exempt: ['127.0.0.0/8', '::1'],
  })
  const { sessions, connections, recipients, authFailures } = limitsOf(
    '{sessions_per_ip: {smtp: 9, imap: 0}, connections_per_ip: 60/minute, recipients_per_ip: 7/day, auth_failures_per_ip: 10/hour}',
  )
  assert.deepEqual(authFailures, { count: 10, periodMs: 3_600_000 })
  const others = { lmtp: 500, pop3: 500, sieve: 500, submission: 500 }
  assert.deepEqual(sessions, { smtp: 9, imap: 0, ...others })
  assert.deepEqual(connections, { count: 60, periodMs: 60_000 })
  assert.deepEqual(recipients, { count: 7, periodMs: 86_400_000 })
  assert.deepEqual(limitsOf('{sessions_per_ip: 3}').sessions, {
    smtp: 3,
    lmtp: 3,
    imap: 3,
    pop3: 3,
    sieve: 3,
    submission: 3,
  })
})

test('back-ends are known by keys, and know us by a certificate', () => {
  const pin = `sha256//${'a'.repeat(43)}=`
  const backendsOf = (more: string) => {
    const parsed = parseConfig(
      minimal.replace('imap: 143', `imap: 143, tls: starttls, ${more}`),
      '/etc/mailmux/mailmux.yaml',
    )
    assert.ok('config' in parsed, JSON.stringify(parsed))
    return parsed.config.backends.get('fritz')
  }
  assert.deepEqual(backendsOf('tls_name: x')?.tlsPins, [])
  assert.deepEqual(backendsOf(`tls_pin: ${pin}`)?.tlsPins, [pin])
  assert.deepEqual(backendsOf(`tls_pin: [${pin}, ${pin}]`)?.tlsPins, [pin, pin])
  assert.deepEqual(backendsOf('tls_client: {cert: own.pem, key: /keys/own}')?.tlsClient, {
    certFile: '/etc/mailmux/own.pem',
    keyFile: '/keys/own',
  })
  const bad = minimal.replace('imap: 143', 'imap: 143, tls_pin: [], tls_client: {cert: x}')
  assert.equal(problemsIn(bad).length, 2)
  const md5 = minimal.replace('imap: 143', 'imap: 143, tls_pin: "md5//AAAA"')
  assert.match(problemsIn(md5)[0] ?? '', /tls_pin: .*sha256\/\//)
})

test('who judges logins needs passwords, and an administrator at each back-end', () => {
  const auth = 'auth: {mode: verify, passwd_file: users}\n'
  const admin = minimal.replace('imap: 143', 'imap: 143, admin: {user: m, password_file: s}')
  assert.equal(configOf(admin + auth).passwdFile, '/etc/mailmux/users')
  assert.equal(configOf(minimal).passwdFile, undefined)
  assert.equal(configOf(`${minimal}auth: {mode: passthrough}\n`).passwdFile, undefined)
  assert.match(problemsIn(minimal + auth)[0] ?? '', /backends\.fritz: has no admin/)
  assert.match(problemsIn(`${admin}auth: {mode: verify}\n`)[0] ?? '', /needs passwd_file or ldap/)
  assert.match(problemsIn(`${minimal}auth: {passwd_file: x}\n`)[0] ?? '', /is for mode verify/)
})

test('certificates of clients need authorities, TLS and an administrator at each back-end', () => {
  const own = 'certificates: [{cert: c, key: k}]'
  const listen = 'listen: {imap: ["143"]}\n'
  const admin = minimal.replace('imap: 143', 'imap: 143, admin: {user: m, password_file: s}')
  const tls = `tls: {${own}, client_ca: ca.pem, client_user: commonName}\n`
  assert.equal(configOf(admin + tls + listen).tls.clientCaFile, '/etc/mailmux/ca.pem')
  assert.equal(configOf(admin + tls).tls.clientUser, 'commonName')
  assert.equal(configOf(minimal).tls.clientCaFile, undefined)
  const lists = tls.replace('ca.pem', 'ca.pem, client_crl: crl.pem')
  assert.equal(configOf(admin + lists).tls.clientCrlFile, '/etc/mailmux/crl.pem')
  assert.equal(configOf(minimal).tls.clientUser, 'rfc822Name')
  const quiet = `${admin}${tls}listen: {imap: ["143", {address: "993", client_certificate: none}]}\n`
  assert.deepEqual(
    configOf(quiet).listeners.map(({ asksCertificate }) => asksCertificate),
    [true, false],
  )
  for (const [text, ...wanted] of [
    [`${admin}tls: {client_ca: ca.pem}\n`, /5:7: .*tls\.client_ca: .*by TLS alone/],
    [`${admin}tls: {${own}, client_user: commonName}\n`, /tls\.client_user: needs tls\.client_ca/],
    [`${admin}tls: {${own}, client_crl: crl.pem}\n`, /tls\.client_crl: needs tls\.client_ca/],
    [`${admin}mechanisms: {imap: [PLAIN, EXTERNAL]}\n`, /mechanisms\.imap\.1: needs/],
    [
      `${admin}listen: {imap: [{address: "143", client_certificate: request}]}\n`,
      /listen\.imap\.0\.client_certificate: needs/,
    ],
    [
      `${admin}${tls}listen: {smtp: [{address: "25", client_certificate: request}]}\n`,
      /listen\.smtp\.0\.client_certificate: nobody logs in by smtp/,
    ],
    [
      `${minimal}${tls}${listen}mechanisms: {imap: [EXTERNAL]}\n`,
      /error: backends\.fritz: has no admin, without which imap offers no EXTERNAL/,
    ],
    [`${admin}${tls.replace('commonName', 'uid')}`, /client_user/],
  ] as const) {
    const problems = problemsIn(text)
    assert.equal(problems.length, wanted.length, problems.join('\n'))
    for (const [index, what] of wanted.entries()) assert.match(problems[index] ?? '', what)
  }
})

function warningsOf(text: string): string[] {
  const parsed = parseConfig(text, '/etc/mailmux/mailmux.yaml')
  assert.ok('config' in parsed)
  return parsed.warnings.map(formatProblem)
}

test('where certificates are asked for, a back-end without an administrator is warned about', () => {
  const tls = 'tls: {certificates: [{cert: c, key: k}], client_ca: ca.pem}\n'
  const served = `${minimal}${tls}listen: {imap: ["143"], smtp: ["25"]}\n`
  const [warning, ...more] = warningsOf(served)
  assert.match(warning ?? '', /warning: backends\.fritz: has no admin, .* imap offers no EXTERNAL/)
  assert.deepEqual(more, [])
  assert.deepEqual(warningsOf(`${served}mechanisms: {imap: [PLAIN]}\n`), [])
  assert.deepEqual(warningsOf(`${minimal}${tls}listen: {smtp: ["25"]}\n`), [])
})

test('a directory judges passwords where nobody can read them on their way', () => {
  const admin = minimal.replace('imap: 143', 'imap: 143, admin: {user: m, password_file: s}')
  const withLdap = (ldap: string) =>
    `${admin}auth: {mode: verify, ldap: {dn: 'uid={local}', ${ldap}}}\n`
  assert.deepEqual(configOf(withLdap('url: ldaps://ldap.example.com, tls_ca: ca.pem')).ldapBind, {
    url: 'ldaps://ldap.example.com',
    host: 'ldap.example.com',
    dn: 'uid={local}',
    tls: 'implicit',
    tlsCaFile: '/etc/mailmux/ca.pem',
  })
  const here = configOf(withLdap('url: "ldap://[::1]:389", tls: starttls')).ldapBind
  assert.equal(here?.host, '::1')
  assert.equal(here.tls, 'starttls')
  assert.equal(configOf(withLdap('url: ldap://127.0.0.1')).ldapBind?.tls, 'none')
  for (const [ldap, what] of [
    ['url: ldap://ldap.example.com', /clear text/],
    ['url: ldap://ldap.example.com, tls: none', /clear text/],
    ['url: ldap://127.0.0.1.example.com', /clear text/],
    ['url: ldaps://ldap.example.com, tls: starttls', /ldaps:\/\/ has TLS/],
    ['url: http://ldap.example.com', /ldap:\/\/HOST/],
  ] as const) {
    assert.match(problemsIn(withLdap(ldap)).join('\n'), what, ldap)
  }
  const noName = withLdap('url: ldaps://x').replace('{local}', 'all')
  assert.match(problemsIn(noName).join('\n'), /\{user\} or \{local\}/)
})

test('a key that this version does nothing with is warned about', () => {
  const parsed = parseConfig(
    minimal.replace('imap: 143', 'imap: 143, site: london'),
    '/etc/mailmux/mailmux.yaml',
  )
  assert.ok('warnings' in parsed)
  assert.deepEqual(
    parsed.warnings.map(({ message }) => message),
    ['backends.fritz.site: has no effect in this version'],
  )
})

test('names of the prototype chain are ordinary names', () => {
  assert.match(problemsIn(`${minimal}constructor: 1\n`)[0] ?? '', /constructor: unknown key/)
  assert.match(problemsIn(`${minimal}toString: 1\n`)[0] ?? '', /toString: unknown key/)
})

test('an alias that leads nowhere, and a few that stand for millions, are problems of the file', () => {
  assert.deepEqual(problemsIn('hostname: *one\n'), [
    'mailmux.yaml:1:1: error: Unresolved alias (the anchor must be set before the alias): one',
  ])
  const levels = Array.from({ length: 9 }, (_, n) => {
    const aliases = Array.from({ length: 9 }, () => `*a${n}`).join(', ')
    return `a${n + 1}: &a${n + 1} [${aliases}]`
  })
  const [problem = ''] = problemsIn(['a0: &a0 [1]', ...levels, ''].join('\n'))
  assert.match(problem, /Excessive alias count/)
})

test('a way to tell of clients that can have no effect is warned of', () => {
  const ways = ['xforward', 'id'].map(
    (way, index) => `  b${index}: {host: 10.0.0.12, pop3: 110, client_address: ${way}}\n`,
  )
  const parsed = parseConfig(`${minimal}${ways.join('')}`, '/etc/mailmux/mailmux.yaml')
  assert.ok('config' in parsed)
  assert.deepEqual(
    parsed.warnings.map(({ message }) => message),
    [
      'backends.b0.client_address: xforward needs smtp or lmtp',
      'backends.b1.client_address: id needs imap',
    ],
  )
})

function withAdmin(admin: string): string {
  return minimal.replace('imap: 143', `imap: 143, admin: ${admin}`)
}

test('an administrative login has a name and a file, and is a master user where nothing else is said', () => {
  const { backends } = configOf(withAdmin('{user: mailmux, password_file: secrets/fritz}'))
  assert.deepEqual(backends.get('fritz')?.admin, {
    user: 'mailmux',
    passwordFile: '/etc/mailmux/secrets/fritz',
    style: 'master',
    separator: '*',
  })
  const inFile = '{user: mailmux, password_file: x, password: secret}'
  assert.deepEqual(problemsIn(withAdmin(inFile)), [
    'mailmux.yaml:4:90: error: backends.fritz.admin.password: no secret is kept here; write it into a file, and name that: password_file',
  ])
})

function withSmarthost(words: string): string {
  return `hostname: mx1.example.com
domains: [example.com]
backends:
  fritz: {host: 10.0.0.11, imap: 143, admin: {user: a, password_file: secrets/fritz}}
  out: {host: 10.0.0.12, smtp: 25, submission: 587${words}}
auth: {mode: verify, passwd_file: passwd}
`
}

test('the smarthost needs no administrator where users only send by it', () => {
  const login = 'smarthost: {backend: out, submission: {user: mx, password_file: secrets/out}}\n'
  assert.deepEqual(configOf(withSmarthost('') + login).smarthostLogin, {
    user: 'mx',
    passwordFile: '/etc/mailmux/secrets/out',
  })
  assert.match(
    problemsIn(`${withSmarthost('')}smarthost: out\n`).join(),
    /backends.out: has no admin/,
  )
  assert.match(
    problemsIn(withSmarthost(', pop3: 110') + login).join(),
    /backends.out: has no admin/,
  )
})

test('what copying may take is read with its units; nothing at all is refused', () => {
  const limited = configOf(
    `${minimal.replace('imap: 143}', 'imap: 143, migrate: {connections: 5, bytes_per_second: 2MiB, commands_per_second: 9}}')}migrate: {outside: {bytes_per_second: 1024, latency_limit: 0s}}\n`,
  )
  const { connections, bytesPerSecond } = limited.backends.get('fritz')?.migrate ?? assert.fail()
  assert.deepEqual([connections, bytesPerSecond], [5, 2 * 1024 * 1024])
  assert.equal(limited.backends.get('fritz')?.migrate.commandsPerSecond, 9)
  assert.equal(limited.backends.get('fritz')?.migrate.latencyLimitMs, 1_000)
  assert.equal(limited.migrate.outside.latencyLimitMs, 0)
  const { migrate: near } = limited.backends.get('fritz') ?? assert.fail()
  assert.deepEqual([near.compress, limited.migrate.outside.compress], [false, true])
  assert.deepEqual(limited.migrate.outside.bytesPerSecond, 1024)
  const wrong = (words: string) => problemsIn(minimal.replace('143}', `143, migrate: {${words}}}`))
  assert.match(
    wrong('connections: 2').join(),
    /backends\.fritz\.migrate\.connections: must be >= 3/,
  )
  assert.match(
    wrong('bytes_per_second: 0').join(),
    /bytes_per_second: must be at least 1024 octets/,
  )
  assert.match(wrong('bytes_per_second: 20').join(), /at least 1024 octets; leave it out for no /)
  assert.match(wrong('bytes_per_day: 0').join(), /bytes_per_day: must be at least 1024 octets/)
  assert.match(wrong('commands_per_second: 0').join(), /commands_per_second: must be >= 1/)
  assert.match(wrong('latency_limit: 5').join(), /latency_limit: .*such as 30s/)
  assert.match(wrong('bytes_per_second: fast').join(), /such as 50MiB/)
  assert.match(
    problemsIn(`${minimal}migrate: {outside: {bytes_per_second: 0KiB}}\n`).join(),
    /^mailmux\.yaml:5:\d+: error: migrate\.outside\.bytes_per_second: /,
  )
})

test('windows are read, and one that is none is told with its place', () => {
  const config = configOf(`${minimal}migrate: {windows: ["mon,wed 22:00-06:00"]}\n`)
  assert.deepEqual(config.migrate.windows, [{ days: new Set([1, 3]), start: 1320, end: 360 }])
  assert.match(
    problemsIn(`${minimal}migrate: {windows: ["22:00-06:00", "nightly"]}\n`).join(),
    /^mailmux\.yaml:5:\d+: error: migrate\.windows\.1: "nightly" is no window; write 22:00-06:00 /,
  )
})

const wrongMove = (words: string) => problemsIn(`${minimal}move: {${words}}\n`).join()

test('times of moves that nobody could mean are refused', () => {
  assert.match(
    wrongMove('quiet_time: 46s'),
    /^mailmux\.yaml:5:\d+: error: move\.quiet_time: must be at/,
  )
  assert.match(wrongMove('freeze_limit: 8s, quiet_time: 5s'), /at most half of move\.freeze_limit/)
  for (const every of ['10ms', '30d']) {
    assert.match(
      wrongMove(`due_every: ${every}`),
      /move\.due_every: must be from 1s to 1d; 0s for never/,
    )
  }
  const { move } = configOf(`${minimal}move: {due_every: 0s, quiet_time: 45s}\n`)
  assert.deepEqual([move.dueEveryMs, move.quietMs], [0, 45_000])
})
