/** Submission by a Postfix whose logins a Dovecot judges: what most sites have. */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { test } from 'node:test'
import { nameClient } from '../../src/daemon/client-address.ts'
import { startSubmissionSession } from '../../src/daemon/front-end/submission.ts'
import { loginOffersOf } from '../../src/daemon/login/login-offers.ts'
import { Dovecot } from '../../src/demo/dovecot.ts'
import { FrontEnd } from '../support/front-end.ts'
import { ask, deliver } from '../support/message.ts'
import { Postfix, skipWithoutPostfix } from '../support/postfix.ts'
import { challenge, greeted, saslWords } from '../support/sasl-login.ts'
import { ScramClient } from '../support/scram.ts'
import { tempDir } from '../support/temp-dir.ts'
import { routeTo } from '../support/test-runtime.ts'
import { skipWithout } from '../support/tools.ts'

const skip = skipWithoutPostfix() || skipWithout('dovecot')
const user = 'ann@example.com'

test('Postfix takes logins of its users alone, and is told where they come from', {
  skip,
}, async () => {
  using dir = tempDir()
  using postfixDir = tempDir()
  // Dovecot and Postfix run as users of their own.
  chmodSync(dir.path, 0o755)
  const socket = dir.join('sasl')
  const further = ['service auth {', `  unix_listener ${socket} {`, '    mode = 0666', '  }', '}']
  const users = [{ address: user, password: 'secret' }]
  await using _ = await Dovecot.start({
    name: 'fritz',
    folder: dir.join('dovecot'),
    users,
    further,
  })
  await using postfix = await Postfix.start(postfixDir, {}, socket)
  await using front = await FrontEnd.start({
    service: 'submission',
    start: (client, listener, runtime) => {
      const server = { address: '192.0.2.1', port: 587 }
      nameClient(client, { client: { address: '192.0.2.7', port: 4242 }, server, isCheck: false })
      startSubmissionSession(client, listener, runtime)
    },
    backendPort: postfix.submissionPort,
    backendLines: ['client_address: xclient'],
    routes: { [user]: routeTo('fritz', user) },
  })
  await loginOffersOf(front.runtime, 'submission').ask()
  const words = saslWords.submission

  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256'] as const) {
    using client = await greeted(await front.connect(), 'submission')
    const [offered = ''] = client.received.match(/^250.*AUTH.*$/m) ?? []
    assert.match(offered, new RegExp(`PLAIN LOGIN.*${mechanism === 'PLAIN' ? '' : mechanism}`))
    if (mechanism === 'PLAIN') {
      client.send(words.plain(user, 'wrong'))
      await client.expect(words.refused)
      client.send(words.plain(user, 'secret'))
    } else {
      const scram = new ScramClient(mechanism, user, 'secret')
      client.send(words.start(mechanism, scram.first))
      client.send(`${Buffer.from(scram.answer(await challenge(client))).toString('base64')}\r\n`)
      assert.ok(scram.trusts(await challenge(client)))
      client.send('\r\n')
    }
    await client.expect(words.accepted)
    const answer = await deliver(client, `MAIL FROM:<${user}>`, 'RCPT TO:<bob@example.com>')
    assert.match(answer, /^250 2\.0\.0 Ok/)
    await ask(client, 'QUIT')
    await postfix.logged(
      new RegExp(
        `client=\\S+\\[192\\.0\\.2\\.7\\], sasl_method=${mechanism}, sasl_username=${user}`,
      ),
    )
  }
})
