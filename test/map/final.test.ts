import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseAddress } from '../../src/mail/address.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMap } from '../../src/map/open.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

test('the ends of an expansion are found again one by one, and none is expanded a second time', async () => {
  using dir = tempDir()
  const sources = {
    aliases: 'ann: ann, ida\nall: ann, joe\nstaff: all\n',
    user_map: 'ann fritz\nida ida.b@ingrid\njoe ann@example.com\n',
  }
  for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  const map = openMap(config.map.database)
  const { naming } = config
  const ask = (text: string): unknown => {
    const address = parseAddress(text, naming)
    assert(address !== undefined)
    return map.resolveFinal(address, naming)
  }
  const ann = { address: 'ann@example.com', backend: 'fritz', login: 'ann@example.com' }
  const ida = {
    address: 'ida.b@example.com',
    backend: 'ingrid',
    login: 'ida.b',
    recipient: 'ida@example.com',
  }
  // The alias of that name would have led to ida too.
  assert.deepEqual(ask('ann'), { result: 'route', user: 'ann@example.com', destination: ann })
  assert.deepEqual(ask('ida'), { result: 'route', user: 'ida@example.com', destination: ida })
  const whole = map.resolve('delivery', parseAddress('ann', naming) as never, naming)
  assert(whole.result === 'expand')
  for (const { recipient, address, backend } of whole.destinations) {
    const again = ask(recipient ?? address) as { destination: { backend: string } }
    assert.equal(again.destination.backend, backend)
  }
  assert.deepEqual(ask('nobody'), { result: 'unknown', user: 'nobody@example.com' })
  assert.deepEqual(ask('x@elsewhere.example'), { result: 'foreign' })
  // A name that has become a forward or an alias since leads on.
  for (const name of ['joe', 'staff']) {
    const { result, destinations } = ask(name) as { result: string; destinations: unknown[] }
    assert.equal(result, 'expand')
    assert.equal(destinations.length, 2)
  }
  map.close()
})
