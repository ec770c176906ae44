/** What else than the sources decides what is compiled. */
import { createHash } from 'node:crypto'
import type { Config } from '../config/config.ts'
import { formatVersion } from './database/format.ts'
import type { Seed } from './database/key-hash.ts'

export function frameOf(config: Config): string {
  const { naming, smarthost, backends, map } = config
  return JSON.stringify([
    formatVersion,
    [...naming.domains],
    naming.defaultDomain,
    naming.recipientDelimiter,
    naming.foldCase,
    smarthost ?? null,
    ...map.queryKeys,
    [...backends.values()].map(({ name, host, endpoints }) => [name, host, endpoints]),
  ])
}

/** From the frame, so that two builds of the same sources make the same file. */
export function seedOf(config: Config, attempt: number): Seed {
  const digest = createHash('sha256')
    .update(`${attempt}\0${frameOf(config)}`)
    .digest()
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)]
}
