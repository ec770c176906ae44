/** What a client says of itself by ID, and which of it its back-end hears. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrontEnd, type FrontEndOptions } from '../support/front-end.ts'
import { serveLogin } from '../support/login-backend.ts'
import { ScriptedBackend } from '../support/peer.ts'
import { tlsParties } from '../support/tls-parties.ts'

const { certificate, serverTls } = tlsParties()

function startFront(options: Partial<FrontEndOptions>): Promise<FrontEnd> {
  return FrontEnd.start({ service: 'imap', ...options })
}

test('what a client says of itself goes to a back-end that is told of it, and no lie of its way', async () => {
  const asked: string[] = []
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 ID] fritz ready\r\n')
    const line = await peer.line()
    if (!line.startsWith('I ID ')) {
      peer.send(`${line.split(' ')[0]} OK [CAPABILITY IMAP4rev1] in\r\n`)
      return
    }
    asked.push(line)
    peer.send('* ID ("name" "Dovecot")\r\nI OK\r\n')
    await serveLogin(peer, { service: 'imap', certificate })
  })
  const forged = [
    'x-originating-ip',
    'X-Originating-Port',
    'x-connected-ip',
    'x-connected-name',
    'x-session-id',
    'x-session-ext-id',
    'x-client-transport',
    'x-forward-user',
    'X-VIA',
  ]
    .map((name) => `"${name}" "6.6.6.6"`)
    .join(' ')
  const id = `ID ("name" "Mutt" ${forged} "x-proxy-ttl" "9" version NIL "NAME" "twice" os {3+}\r\nGNU)`
  for (const way of ['id', 'none']) {
    await using front = await startFront({
      backendPort: backend.port,
      backendLines: [`client_address: ${way}`],
    })
    for (const said of [id, 'ID NIL', '']) {
      using client = await front.connect()
      await client.expect(/^\* OK .*\r\n/)
      if (said !== '') {
        client.send(`a ${said}\r\n`)
        await client.expect(/^\* ID \("name" "mailmux"\)\r\na OK .*\r\n/)
      }
      client.send('b LOGIN ann@example.com secret\r\n')
      await client.expect(/^b OK .*\r\n/)
    }
  }
  const ours = '"x-originating-ip" "127.0.0.1" "x-originating-port" "\\d+" "x-connected-\\S+" .*'
  assert.equal(asked.length, 3)
  const own = '"name" "Mutt" "version" NIL "os" "GNU"'
  assert.match(asked[0] ?? '', new RegExp(`^I ID \\(${ours} "x-proxy-ttl" "6" ${own}\\)$`))
  assert.doesNotMatch(asked.join(), /6\.6\.6\.6/)
  for (const line of asked.slice(1)) assert.match(line, /"x-proxy-ttl" "7"\)$/)
})

test('what was said of itself before STARTTLS is said anew, or nobody hears it', async () => {
  const asked: string[] = []
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 ID] fritz ready\r\n')
    asked.push(await peer.line())
    peer.send('I OK\r\n')
    await serveLogin(peer, { service: 'imap', certificate })
  })
  await using front = await startFront({
    backendPort: backend.port,
    backendLines: ['client_address: id'],
    tls: 'starttls',
    serverTls: serverTls,
  })
  using client = await front.connect()
  await client.expect(/^\* OK .*\r\n/)
  client.send('a ID ("name" "injected")\r\nb STARTTLS\r\n')
  await client.expect(/b OK .*\r\n/)
  await client.startTls({ rejectUnauthorized: false })
  client.send('c LOGIN ann@example.com secret\r\n')
  await client.expect(/^c OK .*\r\n/)
  assert.match(asked.join(), /^I ID \("x-originating-ip".*"x-proxy-ttl" "7"\)$/)
})
