/** A back-end that is spoken to by SMTP: here another front end, with a real Dovecot behind it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildMapOf, startDaemon } from '../support/daemon.ts'
import { RealSite } from '../support/real-site.ts'
import { tempDir } from '../support/temp-dir.ts'
import { runTool, skipWithout } from '../support/tools.ts'

const skip = skipWithout('dovecot', 'swaks', 'openssl')

test('a message goes through an SMTP back-end over STARTTLS, with its refusals', {
  skip,
}, async () => {
  await using inner = await RealSite.start()
  using dir = tempDir()
  const config = `hostname: edge.example.com
domains: [example.com]
backends:
  inner: {host: 127.0.0.1, smtp: ${inner.port('smtp')}, tls: starttls, tls_ca: ${inner.caFile}}
map: {rules: rules}
listen: {smtp: ["127.0.0.1:0"]}
`
  writeFileSync(dir.join('rules'), '* inner\n')
  await buildMapOf(dir, config)
  await using edge = await startDaemon({ dir, config })
  const send = (to: string) => {
    const server = ['--server', '127.0.0.1', '--port', String(edge.port('smtp'))]
    const envelope = ['--from', 'guest@example.net', '--to', to]
    return runTool(dir.path, 'swaks', [...server, ...envelope, '--header', 'Subject: two hops'])
  }
  const sent = await send('ann@example.com')
  assert.equal(sent.code, 0, sent.stdout)
  assert.deepEqual(await inner.subjects(inner.ingrid, 'ann'), ['two hops'])
  assert.equal((await send('team@example.com')).code, 0)
  assert.deepEqual(await inner.subjects(inner.fritz, 'bob'), ['two hops'])
  const received = ['fetch', '-u', 'ann@example.com', 'hdr.received', 'all']
  const trace = await inner.ingrid.doveadm(...received)
  assert.match(trace, /by mx\.example\.com .*ESMTPS.*by edge\.example\.com /s)
  assert.match((await send('walter@example.com')).stdout, /<\*\* 550 5\.1\.1 /)
})
