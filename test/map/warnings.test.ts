import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildMap } from '../../src/map/build.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

/** `code line message` of each warning, without folders. */
async function warningsOf(sources: Readonly<Record<string, string>>): Promise<string[]> {
  using dir = tempDir()
  for (const [name, content] of Object.entries(sources)) writeFileSync(dir.join(name), content)
  const { warnings } = await buildMap(configOf(dir.path, dir.join('map.db')))
  return warnings.map(({ code, at, message }) =>
    `${code} ${at.line} ${message}`.replaceAll(`${dir.path}/`, ''),
  )
}

test('a mailbox whose mail an alias takes elsewhere is told', async () => {
  const userMap = 'nora@example.com fritz\nbob ingrid\ncarl@example.com c.c@fritz\n'
  assert.deepEqual(await warningsOf({ user_map: userMap, aliases: 'nora: bob\n\ncarl: bob\n' }), [
    'routes-differ 1 mail for nora@example.com goes elsewhere, but logins to fritz: user_map:1:1',
    'routes-differ 3 mail for carl@example.com goes elsewhere, but logins to fritz: user_map:3:1',
  ])
})

test('an alias that keeps a copy, directly or by another, is told nothing', async () => {
  const userMap = 'nora@example.com fritz\nbob ingrid\ncarl@example.com c.c@fritz\n'
  const aliases =
    'nora@example.com: nora@example.com, bob\ncarl@example.com: carl@example.com, bob\n'
  assert.deepEqual(await warningsOf({ user_map: userMap, aliases }), [])
})

test('an alias whose login has a line of its own in popmap says so, and is told nothing', async () => {
  const sources = { user_map: 'nora fritz\nbob ingrid\n', aliases: 'nora: bob\n' }
  assert.deepEqual(await warningsOf({ ...sources, popmap: 'nora:fritz\n' }), [])
})

test('keys that are equal once folded are told, with both places', async () => {
  const userMap = 'fin@example.com fritz\n\ufb01n@example.com ingrid\n\u00d6zg\u00fc fritz\n'
  assert.deepEqual(
    await warningsOf({ user_map: userMap, aliases: '\u00f6zg\u00fc: fin@example.com\n' }),
    [
      'lookalike-key 2 \ufb01n@example.com looks like fin@example.com, which is another user: user_map:1:1',
      'lookalike-key 3 \u00d6zg\u00fc looks like \u00f6zg\u00fc, which is another user: aliases:1:1',
    ],
  )
})

test('two keys that fold to a third that nobody has are told once', async () => {
  const userMap = '\uff41nn fritz\n\ud835\udc4enn ingrid\n\uff42ob fritz\n'
  assert.deepEqual(await warningsOf({ user_map: userMap }), [
    'lookalike-key 2 \ud835\udc4enn looks like \uff41nn, which is another user: user_map:1:1',
  ])
})

const config = (more: string): string => `hostname: mx1.example.com
domains: [example.com, example.net]
backends:
  fritz: {host: fritz.example.org, smtp: 25, imap: 143}
  ingrid: {host: ingrid.example.org, smtp: 25, imap: 143}
${more}`

test('a domain that nothing reaches and a back-end that nobody uses are told', async () => {
  const sources = { 'mailmux.yaml': config(''), user_map: 'nora@example.com fritz\n' }
  assert.deepEqual(await warningsOf(sources), [
    'unreached-domain 2 domains: no source has a user, an alias or a rule for example.net',
    'unused-backend 5 backends.ingrid: no source sends anybody there',
  ])
  for (const [name, text] of [
    ['user_map', 'nora@example.com fritz\nmax ingrid\n'],
    ['rules', 'a-z hash(fritz, ingrid)\n'],
    ['rules', '@example.net ingrid\n'],
    ['popmap', '*@example.net:ingrid\n'],
  ] as const) {
    assert.deepEqual(await warningsOf({ ...sources, [name]: text }), [], text)
  }
  const smarthost = config('smarthost: ingrid\n')
  const aliases = 'info@example.net: nora@example.com\n'
  assert.deepEqual(await warningsOf({ ...sources, 'mailmux.yaml': smarthost, aliases }), [])
})

test('users whose logins a pattern or a line sends elsewhere need no port for them', async () => {
  const more = '  lists: {host: lists.example.org, lmtp: 24}\n'
  const userMap = 'nora@example.com lists\nmax@example.net lists\nbob ingrid\nann fritz\n'
  const sources = { 'mailmux.yaml': config(more), user_map: userMap }
  assert.deepEqual(await warningsOf(sources), [
    'no-login-port 1 logins of this user and 1 more lead to lists, which has no imap and no pop3',
  ])
  const popmap = 'nora@example.com:fritz\n*@example.net:fritz\n'
  assert.deepEqual(await warningsOf({ ...sources, popmap }), [])
})
