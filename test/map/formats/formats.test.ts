/** Each form: what its lines become, what is said of lines that cannot be carried, and round trips. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Config } from '../../../src/config/config.ts'
import { answerQuestion } from '../../../src/map/answer.ts'
import { mapFormats } from '../../../src/map/formats/formats.ts'
import { describeNote, importMap } from '../../../src/map/formats/import-map.ts'
import { openMapInForce } from '../../../src/map/open.ts'
import { builtFrom, exported, formatOf, linesOf } from '../../support/exported-map.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

interface Case {
  readonly format: string
  readonly text: string
  readonly backend?: string
  readonly sources: Readonly<Record<string, string>>
  readonly notes?: readonly string[]
}

/** Of the servers in these, the config knows none. */
const cases: readonly Case[] = [
  {
    format: 'sendmail-aliases',
    text: 'Postmaster: root\n# staff\nteam: ann,\n  "bob b"@example.com, |/bin/x\n\ngone: :fail: moved away\nnone: /var/mail/x\nnot an alias\nlist: :include:/etc/list\n',
    sources: {
      aliases: 'Postmaster: root\nteam: ann, "bob b"@example.com\nlist: :include:/etc/list\n',
      user_map: 'gone\terror:5.1.1:550 moved away\n',
    },
    notes: ['3:1: team: ann, "bob b"@example.com, |/bin/x: ', '7:1: none: ', '8:1: not an alias: '],
  },
  {
    format: 'makemap',
    text: 'ann@example.com\tann@fritz\nbob@example.com bob@else.org\n@example.net  error:5.1.1:550 none\n@shop.example.org %1@example.org\nlone\n',
    sources: {
      user_map:
        'ann@example.com\tann@fritz\nbob@example.com\tbob@else.org\n@example.net\terror:5.1.1:550 none\n@shop.example.org\t%1@example.org\n',
    },
    notes: ['5:1: lone: it has no value'],
  },
  {
    format: 'postfix-transport',
    text: 'nora@example.org     lmtp:[alpha.example.org]:24\n.branch.example.org  smtp:[mx.branch.example.org]\nold@example.org      error:5.1.1 no such user\nexample.com smtp:beta.example.org\n  # no\n* retry:4.3.0 later\nx@example.org local:\n',
    sources: {
      user_map: 'nora@example.org\talpha\nold@example.org\terror:5.1.1:550 no such user\n',
      rules: '*@*.branch.example.org\tmx\n@example.com\tbeta\n*\tdefer 4.3.0 450 "later"\n',
    },
    notes: ['7:1: x@example.org local:: local: names no server'],
  },
  {
    format: 'postfix-virtual',
    text: 'info@example.org  nora@example.org,\n   li@example.org\n"a b"@example.org nora\n@example.net x@example.org\nexample.com anything\nann nora\n@example.org @example.com\n@shop.example.org a, b\n',
    sources: {
      aliases:
        'info@example.org: nora@example.org, li@example.org\n"a b"@example.org: nora\nann: nora\n',
      user_map: '@example.net\tx@example.org\n@example.org\t%1@example.com\n',
    },
    notes: ['5:1: ', '8:1: @shop.example.org a, b: a whole domain goes to one address'],
  },
  {
    format: 'postfix-relocated',
    text: 'ann@example.com ann@else.org\n@example.net another place\nbob\n',
    sources: {
      user_map:
        'ann@example.com\terror:5.1.6:550 User has moved to ann@else.org\n@example.net\terror:5.1.6:550 User has moved to another place\n',
    },
    notes: ['3:1: bob: '],
  },
  {
    format: 'postfix-relay-recipients',
    backend: 'alpha.example.org',
    text: 'ann@example.com OK\n@example.net x\n',
    sources: { user_map: 'ann@example.com\talpha\n', rules: '@example.net\talpha\n' },
  },
  {
    format: 'postfix-relay-recipients',
    text: 'ann@example.com OK\n',
    sources: {},
    notes: ['1:1: ann@example.com OK: it names no server: say which with --backend'],
  },
  {
    format: 'perdition-popmap',
    text: 'nora:imap1.example.org\r\nli:liwei@imap2.example.org:1143\r\nzoe@shop.example.org:[2001:db8::7]:143\r\nbroken\r\n',
    sources: { popmap: 'nora:imap1\nli:liwei@imap2\nzoe@shop.example.org:at-2001-db8-7\n' },
    notes: ['4:1: broken: '],
  },
  {
    format: 'perdition-popmap-re',
    text: '^([a-m][^@]*)(@example\\.org)?$:   $1@alpha.example.org\n^([n-z][^@]*)$:   $1@beta.example.org:1143\nx\n',
    sources: {
      'popmap.re': '^([a-m][^@]*)(@example\\.org)?$:\t$1@alpha\n^([n-z][^@]*)$:\t$1@beta\n',
    },
    notes: ['3:1: x: '],
  },
  {
    format: 'perdition-conf',
    text: 'outgoing_server one.example.org,two.example.org\nquery_key "\\u@\\d"\ntimeout 1800\nfrobnicate yes\n',
    sources: { rules: '*\thash(one, two)\n' },
    notes: ['2:1: ', '3:1: timeout 1800: set limits', '4:1: frobnicate yes: it has no counterpart'],
  },
  {
    format: 'dovecot-passwd-file',
    text: '# users\nnora:::::::proxy=y nopassword=y host=alpha.example.org port=993 ssl=yes destuser=nora.x\nli:{PLAIN}s3cret:::::: proxy=y host=beta  allow_nets=10.0.0.0/8 pass=s3cret\nmia:::::::nologin=y reason=moving\nvi@example.net:::::::proxy=y host=2001:db8::7\n:s3cret\ns3cret\nida:{CRYPT}s3cret:1:1::/home/ida\neva:::::::proxy_maybe=y host=alpha destuser=%n@x\nuwe:::::::proxy=y host=alpha port=9x9\nzoe:::::::proxy=y host=alpha,beta\n',
    sources: { popmap: 'nora:nora.x@alpha\nli:beta\nvi@example.net:at-2001-db8-7\n' },
    notes: [
      '3:1: li: fields without a counterpart: allow_nets, pass',
      '4:1: mia: it may not log in (moving)',
      '6:1: it is not user:password',
      '7:1: it is not user:password',
      '8:1: ida: it names no server: say whose users these are with --backend',
      '9:1: eva: its host, port or destuser',
      '10:1: uwe: its host, port or destuser',
      '11:1: zoe: its host, port or destuser',
      '3:1: 3 passwords: ',
    ],
  },
  {
    format: 'dovecot-passwd-file',
    backend: 'fritz.example.org',
    text: 'ann@example.com:{CRYPT}x:1000:1000::/home/ann:/bin/sh\r\nbob::1001:1001::/home/bob::userdb_mail=maildir:~/Maildir\r\n',
    sources: { user_map: 'ann@example.com\tfritz\nbob\tfritz\n' },
    notes: ['2:1: bob: fields without a counterpart: userdb_mail', '1:1: a password: '],
  },
  {
    format: 'dovecot-director',
    text: `mail server ip tag  vhosts state state changed       users           
10.0.0.11           100    up    -                   0               
10.0.0.12           50     up    2026-11-23 19:58:45 4               
10.0.0.13           0      up    -                   0               
10.0.0.14      blue 30     up    -                   0               
10.0.0.15           100    down  2026-11-23 19:58:45 0               
2001:db8::7         100    up    -                   0               
`,
    sources: { rules: '*\thash(at-10-0-0-11*2, at-10-0-0-12, at-2001-db8-7*2)\n' },
    notes: ['4:1: 10.0.0.13', '5:1: 10.0.0.14', '6:1: 10.0.0.15'],
  },
  {
    format: 'dovecot-director',
    text: 'mail server ip       vhosts  users\n10.0.0.11               100     12\n10.0.0.12               100      7\ndoveadm director add 10.0.0.13@blue 30\ndoveadm director add 10.0.0.16 100\ndoveadm director remove 10.0.0.19 \n',
    sources: { rules: '*\thash(at-10-0-0-11, at-10-0-0-12, at-10-0-0-16)\n' },
    notes: ['4:1: ', '6:1: '],
  },
  {
    format: 'dovecot-director',
    text: `user                               hash    mail server ip expire time    
ann@example.com                    628905731 10.0.0.12    2026-11-23 20:13:45
averyveryveryverylongusernamethatiswiderthananycolumnofthetable@example.com 664732766 10.0.0.12    2026-11-23 20:13:45
q r@example.com                    3456820823 2001:db8::7  2026-11-23 20:13:45
<unknown>                          1112143071 10.0.0.12    2026-11-23 20:13:45
`,
    sources: {
      user_map:
        'ann@example.com\tat-10-0-0-12\naveryveryveryverylongusernamethatiswiderthananycolumnofthetable@example.com\tat-10-0-0-12\n"q r"@example.com\tat-2001-db8-7\n',
    },
    notes: ['5:1: <unknown> '],
  },
  {
    format: 'dovecot-director',
    text: 'user\thash\tmail server ip\texpire time\nann@example.com\t628905731\t10.0.0.12\t2026-11-23 20:13:45\nbob\t10.0.0.12\n',
    sources: { user_map: 'ann@example.com\tat-10-0-0-12\n' },
    notes: ['3:1: bob'],
  },
  {
    format: 'cyrus-mboxlist',
    text: 'user.nora\t0 alpha.example.org!default nora\tlrswipkxtecda\t\nuser.nora.Sent\t0 beta.example.org!default nora\tlrs\t\nuser.nora.Old\t0 gamma!default nora\tlrs\t\nexample.net!user.li^wei\t1 beta.example.org!default li\tlrs\t\nshared.x\t0 beta!d x\tlrs\nuser.mia\talpha.example.org!default\tmia\tlrs\nbad line\nuser.gone\t16 alpha!d x\nuser.own\t0 default own\tlrs\nuser.lost.Sent\t0 alpha.example.org!default lost\tlrs\n',
    sources: { user_map: 'nora\talpha\nli.wei@example.net\tbeta\nmia\talpha\n' },
    notes: [
      '7:1: bad line: ',
      '2:1: nora: it has folders on beta.example.org, gamma too',
      '9:1: own: its INBOX names no server: say whose list this is with --backend',
      '10:1: lost: it has folders and no INBOX',
      '5:1: shared.x and 1 more: ',
    ],
  },
  {
    // As Cyrus 3.6.1 has written it.
    format: 'cyrus-mboxlist',
    backend: 'alpha.example.org',
    text: `{
"DELETED.user.gone.5F5E1000": {"name": "DELETED.user.gone.5F5E1000", "mtime": "1795463861", "uidvalidity": "0", "createdmodseq": "0", "foldermodseq": "0", "mbtype": "e", "partition": "default", "acl": {"gone": "lrs"}, "name_history": []},
"example.net!user.zoe": {"name": "example.net!user.zoe", "mtime": "1795463861", "uidvalidity": "1600000001", "createdmodseq": "1", "foldermodseq": "1", "mbtype": "e", "partition": "default", "server": "beta.example.org", "acl": {"zoe@example.net": "lrswipkxtecda"}, "uniqueid": "u4", "name_history": []},
"user.gone": {"name": "user.gone", "mtime": "1795463861", "uidvalidity": "0", "createdmodseq": "0", "foldermodseq": "0", "mbtype": "d", "partition": "default", "acl": {"gone": "lrs"}, "name_history": []},
"user.ida": {"name": "user.ida", "mtime": "1795463861", "uidvalidity": "0", "createdmodseq": "0", "foldermodseq": "0", "mbtype": "e", "partition": "default", "acl": {"ida": "lrs"}, "name_history": []},
"user.li^wei": {"name": "user.li^wei", "mtime": "1795463861", "uidvalidity": "0", "createdmodseq": "0", "foldermodseq": "0", "mbtype": "n", "partition": "archive", "server": "beta.example.org", "acl": {"li.wei": "lrswipkxtecda"}, "name_history": []},
"user.nora": {"name": "user.nora", "mtime": "1795463861", "uidvalidity": "1600000000", "createdmodseq": "1", "foldermodseq": "1", "mbtype": "e", "partition": "default", "server": "alpha.example.org", "acl": {"nora": "lrswipkxtecda"}, "uniqueid": "u1", "name_history": []},
"user.nora.Sent": {"name": "user.nora.Sent", "mtime": "1795463861", "uidvalidity": "1600000001", "createdmodseq": "1", "foldermodseq": "1", "mbtype": "e", "partition": "default", "server": "beta.example.org", "acl": {"nora": "lrswipkxtecda"}, "uniqueid": "u2", "name_history": []}
}
`,
    sources: { user_map: 'zoe@example.net\tbeta\nida\talpha\nli.wei\tbeta\nnora\talpha\n' },
    notes: [
      '8:1: nora: it has folders on beta.example.org too',
      '2:1: DELETED.user.gone.5F5E1000 and 1 more: ',
    ],
  },
  {
    format: 'cyrus-mboxlist',
    text: '{"user/mia": {"partition": "beta!default"}, "user/li.wei/Sent@example.net": {"server": "beta"},\n "user/li.wei@example.net": {"server": "beta"}, "user.x": 7, "user.nora": {"name", "user.eva": {',
    sources: { user_map: 'mia\tbeta\nli.wei@example.net\tbeta\n' },
    notes: ['2:49: it is no JSON object', '2:82: it is broken off', '2:97: the text is broken off'],
  },
  {
    format: 'nginx-map',
    text: 'map $auth_user $server {\n  default 10.0.0.1:143;\n  "ann@example.com" 10.0.0.2:143; # ann\n  ~^b.*@ 10.0.0.3:143;\n  broken\n}\n',
    sources: {
      rules: '*\tat-10-0-0-1\n',
      popmap: 'ann@example.com:at-10-0-0-2\n',
      'popmap.re': '^b.*@:\tat-10-0-0-3\n',
    },
    notes: ['5:1: broken: '],
  },
  {
    format: 'haproxy-map',
    text: '# login back-end\nann@example.com alpha\nbob alpha beta\n',
    sources: { popmap: 'ann@example.com:alpha\n' },
    notes: ['3:1: bob alpha beta: '],
  },
  {
    format: 'stalwart-tsv',
    text: 'nora\told-site\nnora@example.org\told-site\nnora old-site\n',
    sources: { user_map: 'nora\told-site\nnora@example.org\told-site\n' },
    notes: ['3:1: nora old-site: '],
  },
  {
    format: 'sora-json',
    text: '[{"address": "ann@example.com", "server": "alpha.example.org:143", "password_hash": "x"}, {"address": 7}, 1]',
    sources: { popmap: 'ann@example.com:alpha\n' },
    notes: ['1:2: ann@example.com: its password', '1:91: it has no', '1:107: it is no JSON object'],
  },
  {
    format: 'json-lines',
    text: `{"user":"nora@example.org","backend":"alpha","login":"nora","aliases":["info@example.org"],"state":"active"}
{"user":"li","value":"error:5.1.1:550 no","retrieval":7}
{"x":1}
{"rule":"* alpha\\nb c"}
[]
{"user":"eva","value":"fritz","retrival":"ingrid"}
{"user":"uwe"}
{"user":7,"value":"fritz"}
{"alias":"all","targets":["a","b\\nroot: |/bin/sh"]}
{"alias":"none","targets":"a"}
{"expression":"*@example.net","backend":"ingrid","login":"$1"}
{"user":"cut
{"user":"a b@example.org","retrieval":"x@fritz:143","aliases":["ab"]}
`,
    sources: {
      user_map: 'nora@example.org\tnora@alpha\nli\terror:5.1.1:550 no\neva\tfritz\n',
      aliases: 'info@example.org: nora@example.org\nab: "a b"@example.org\n',
      'popmap.re': '*@example.net:\t$1@ingrid\n',
      popmap: '"a b"@example.org:x@fritz:143\n',
    },
    notes: [
      '1:1: nora@example.org: state has no counterpart',
      '2:1: li: retrieval is no text',
      '3:1: {"x":1}: it is no user',
      '5:1: it is no JSON object',
      '6:1: eva: retrival has no counterpart',
      '7:1: uwe: it says nothing of this user',
      '8:1: {"user":7',
      '10:1: none: targets is no list of texts',
      '10:1: none: it says nothing of this alias',
      '12:13: it is broken off',
      '4:1: * alpha\ufffdb c: a line holds no line break',
      '9:1: all: a target is no address',
    ],
  },
]

async function imported(
  dir: TempDir,
  { format, text, backend }: Omit<Case, 'sources'>,
  config?: Config,
) {
  const file = dir.join('input')
  writeFileSync(file, text)
  return importMap({ format: formatOf(format), files: [file], backend, config })
}

for (const [number, one] of cases.entries()) {
  test(`${one.format} is read, with a note for each line that is not (${number})`, async () => {
    for (const text of [one.text, `\ufeff${one.text}`]) {
      using dir = tempDir()
      const { texts, notes } = await imported(dir, { ...one, text })
      assert.deepEqual(Object.fromEntries(texts), one.sources)
      const said = notes.map((note) => describeNote(note).replace(`${dir.join('input')}:`, ''))
      assert.equal(said.length, one.notes?.length ?? 0, said.join('\n'))
      assert.doesNotMatch(said.join('\n'), /s3cret/)
      for (const [index, note] of (one.notes ?? []).entries()) {
        assert.ok(said[index]?.includes(note), `${said[index]} has not ${note}`)
      }
    }
  })
}

test('what is no text, too long a line and rubbish end in notes or errors, never in a fault', async () => {
  using dir = tempDir()
  for (const name of mapFormats.keys()) {
    if (formatOf(name).parse === undefined) continue
    await assert.rejects(imported(dir, { format: name, text: 'a\0b' }), {
      code: 'MAP_SOURCE_UNREADABLE',
    })
    const long = await imported(dir, { format: name, text: `${'x'.repeat(1 << 20)}\n` })
    assert.ok(long.notes.length > 0, name)
    assert.ok(describeNote(long.notes[0] ?? assert.fail()).length < 400)
    assert.deepEqual((await imported(dir, { format: name, text: '' })).texts.size, 0)
  }
  await assert.rejects(
    importMap({
      format: formatOf('makemap'),
      files: ['/nowhere'],
      backend: undefined,
      config: undefined,
    }),
    { code: 'MAP_SOURCE_UNREADABLE' },
  )
})

test('no text makes a parser throw', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({
      unit: fc.constantFrom(
        '"',
        ':',
        '\t',
        ' ',
        '\n',
        '@',
        '{',
        '}',
        '[',
        ']',
        '!',
        'a',
        '.',
        '#',
        '~',
        ';',
        '=',
      ),
    }),
  )
  fc.assert(
    fc.property(text, fc.constantFrom(...mapFormats.values()), (input, { parse }) => {
      parse?.({ file: 'f', text: input, backend: undefined })
    }),
    { numRuns: 2000 },
  )
})

const users = [
  'ann@example.com',
  'bob@example.net',
  'carl',
  'dora@example.com',
  'a.b-c@example.com',
]
const value = fc.constantFrom(
  'fritz',
  'ingrid',
  'x.y@fritz',
  'ann@example.com',
  'error:5.1.6:550 User has moved to z@else.org',
)
const foreignMap = fc.record({
  users: fc.dictionary(fc.constantFrom(...users), value),
  logins: fc.dictionary(fc.constantFrom(...users), fc.constantFrom('fritz', 'n.n@ingrid')),
  aliases: fc.dictionary(
    fc.constantFrom('info', 'team@example.com', 'all'),
    fc.uniqueArray(fc.constantFrom('u1', 'u2@example.net', '"q r"@example.com'), { minLength: 1 }),
  ),
  rules: fc.subarray(['a-f ingrid', '@example.net ingrid', '*x@example.com fritz', '/^z/ fritz']),
})

function answers(config: Config): string[] {
  const map = openMapInForce(config)
  try {
    return [...users, 'carl@example.net', 'info', 'team', 'all@example.net', 'zack', 'u1'].flatMap(
      (text) =>
        (['delivery', 'retrieval'] as const).map((direction) => {
          const { json, destinations } = answerQuestion({ text, direction }, map, config)
          return JSON.stringify({ ...json, generation: 0, destinations })
        }),
    )
  } finally {
    map.close()
  }
}

for (const { name, parse, print } of mapFormats.values()) {
  if (parse === undefined || print === undefined) continue
  test(`${name}: what is exported and imported again exports the same`, async () => {
    let whole = 0
    await fc.assert(
      fc.asyncProperty(foreignMap, async (drawn) => {
        using first = tempDir()
        const config = await builtFrom(first, {
          user_map: linesOf(drawn.users, '\t'),
          popmap: linesOf(drawn.logins, ':'),
          aliases: linesOf(drawn.aliases, ': '),
          rules: [...drawn.rules, '* fritz', ''].join('\n'),
        })
        if (config === undefined) return
        const lines = exported(config, name)
        using second = tempDir()
        const { texts, missing } = await imported(
          second,
          { format: name, text: lines.join('\n'), backend: 'fritz' },
          config,
        )
        assert.deepEqual(missing, [], 'every server is known')
        const fallback = name === 'postfix-relay-recipients' ? '' : '* fritz\n'
        const rules = texts.get('rules') ?? ''
        const { 'popmap.re': patterns, popmap, ...others } = Object.fromEntries(texts)
        const sources = {
          ...others,
          ...(popmap === undefined ? {} : { 'popmap/a': popmap }),
          ...(patterns === undefined ? {} : { 'popmap/b.re': patterns }),
          rules: /^\*\s/m.test(rules) ? rules : rules + fallback,
        }
        const again = await builtFrom(second, sources)
        if (again === undefined) {
          assert.ok(
            lines.length === 0 || name === 'postfix-relay-recipients',
            JSON.stringify(sources),
          )
          return
        }
        whole++
        assert.deepEqual(new Set(exported(again, name)), new Set(lines))
        if (name === 'json-lines') assert.deepEqual(answers(again), answers(config))
      }),
      { numRuns: 15 },
    )
    assert.ok(whole > 5, `only ${whole} maps went there and back`)
  })
}

test('docs/formats.md names every form, and which ways it goes', () => {
  const page = readFileSync('docs/formats.md', 'utf8')
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (yes|no) \| (yes|no) \|/gm)]
  assert.deepEqual(
    rows.map(([, name, reads, writes]) => [name, reads, writes]),
    [...mapFormats.values()].map(({ name, parse, print }) => [
      name,
      parse === undefined ? 'no' : 'yes',
      print === undefined ? 'no' : 'yes',
    ]),
  )
})

test('a file with nothing in it is told', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('empty'), '\r\n# nobody yet\r\n')
  for (const format of mapFormats.values()) {
    if (format.parse === undefined) continue
    const request = { format, files: [dir.join('empty')], backend: undefined, config: undefined }
    const { notes } = await importMap(request)
    assert.ok(notes.length > 0, format.name)
  }
})
