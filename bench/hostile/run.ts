/**
 * Clients that mean harm, as many as the machine bears, and what becomes of the daemon and of others.
 *
 *   node bench/hostile/run.ts [--names 1000000] [--rate 3000] [--seconds 600] [PART…]
 */
import { parseArgs } from 'node:util'
import { measureCaps, measureGroup } from './caps.ts'
import { measureGarbage } from './garbage.ts'
import { measureHerd } from './herd.ts'
import { measureNames } from './names.ts'
import { pinUs } from './site.ts'
import { measureSilent } from './silent.ts'
import { measureSlow } from './slow.ts'
import { measureStuffing } from './stuffing.ts'
import { measureVanished } from './vanished.ts'

const { values, positionals } = parseArgs({
  options: {
    names: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '3000' },
    seconds: { type: 'string', default: '600' },
    sessions: { type: 'string', default: '10000' },
  },
  allowPositionals: true,
})

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const parts: Readonly<Record<string, () => Promise<void>>> = {
  slow: () => measureSlow('', say),
  // More than four of five places are taken.
  crowded: () => measureSlow('sessions: 6000', say),
  garbage: () =>
    measureGarbage({ rate: Number(values.rate), seconds: Number(values.seconds) }, say),
  names: () => measureNames(Number(values.names), say),
  caps: () => measureCaps(Number(values.sessions), say),
  group: () => measureGroup({ idleSessions: 9000, each: 500, mebibytes: 512 }, say),
  herd: () => measureHerd(say),
  silent: () => measureSilent(say),
  stuffing: () => measureStuffing(say),
  vanished: () => measureVanished(say),
}

pinUs()
for (const name of positionals.length === 0 ? Object.keys(parts) : positionals) {
  const part = parts[name]
  if (part === undefined) {
    throw new Error(`no such part: ${name}; known: ${Object.keys(parts).join(' ')}`)
  }
  await part()
}
