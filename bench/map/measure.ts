/** One measurement in a process of its own: `build`, `lookup` or `change`; prints JSON. */
import { join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { type Address, parseAddress } from '../../src/mail/address.ts'
import { buildMap } from '../../src/map/build.ts'
import { readHeader } from '../../src/map/database/open-database.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { measureChanges } from './measure-change.ts'
import { addressOf } from './users.ts'

const [kind, folder = '.'] = process.argv.slice(2)
const file = join(folder, 'mailmux.yaml')
const { config } = await loadConfig(file)
console.log(JSON.stringify(await measure()))

async function measure(): Promise<object> {
  if (kind === 'change') return measureChanges(file)
  return kind === 'build' ? measureBuild() : measureLookups()
}

async function measureBuild(): Promise<object> {
  const { users, bytes } = await buildMap(config)
  return { users, bytes, peakMiB: process.resourceUsage().maxRSS / 1024 }
}

function measureLookups(): object {
  const { users, sections } = readHeader(config.map.database)
  const before = process.memoryUsage()
  const started = performance.now()
  const map = openMapInForce(config)
  const openMs = performance.now() - started
  const after = process.memoryUsage()
  const heldBytes = after.arrayBuffers - before.arrayBuffers + after.heapUsed - before.heapUsed
  const rounds = 7
  const each = 500_000
  // As in a daemon, where an address has just been read when it is asked for.
  const atOnce = 1000
  const random = (): number => Math.floor(Math.random() * users)
  const rate = (textOf: (number: number) => string, expected: string): number => {
    const rates = Array.from({ length: rounds }, () => {
      let spentMs = 0
      for (let done = 0; done < each; done += atOnce) {
        const list = Array.from({ length: atOnce }, () =>
          parseAddress(textOf(random()), config.naming),
        )
        const begun = performance.now()
        for (const address of list) {
          const { result } = map.resolve('delivery', address as Address, config.naming)
          if (result !== expected) throw new Error(`${result}, not ${expected}`)
        }
        spentMs += performance.now() - begun
      }
      return each / (spentMs / 1000)
    })
    return rates.toSorted((one, other) => one - other)[Math.floor(rounds / 2)] ?? 0
  }
  const hits = rate(addressOf, 'route')
  const misses = rate((number) => `nobody${number}@example.com`, 'unknown')
  map.close()
  const memory = new Uint32Array(sections.index.length / 4).fill(1)
  let sum = 0
  const begun = performance.now()
  for (let done = 0; done < each; done++)
    sum += memory[Math.floor(Math.random() * memory.length)] ?? 0
  const reads = sum / ((performance.now() - begun) / 1000)
  return {
    openMs,
    hits,
    misses,
    reads,
    indexBytes: sections.index.length / users,
    heldBytes: heldBytes / users,
  }
}
