/** Tells when each of the names that it is given has become a user, as a worker of a daemon sees it. */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { loadConfig } from '../../src/config/load.ts'
import { parseAddress } from '../../src/mail/address.ts'
import { openMapInForce } from '../../src/map/open.ts'

const [file = '', ...names] = process.argv.slice(2)
const { config } = await loadConfig(file)
const map = openMapInForce(config)
process.send?.('ready')
for (const name of names) {
  const address = parseAddress(name, config.naming)
  assert.ok(address)
  while (map.resolve('delivery', address, config.naming).result !== 'route') await nextTurn()
  process.send?.(performance.timeOrigin + performance.now())
}
map.close()
process.disconnect?.()
