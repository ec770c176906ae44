/** Sources, and a change of them that edits two files in the ways that there are. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Config } from '../../src/config/config.ts'
import { parseAddress } from '../../src/mail/address.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMapInForce } from '../../src/map/open.ts'
import type { PlannedChange } from '../../src/map/state/apply-change.ts'
import { planAppend, planSplices } from '../../src/map/state/source-edit.ts'
import { configOf } from './map-case.ts'

export const sources = {
  user_map: '# users\nann@example.com\tfritz\nbob@example.com\tfritz\n',
  aliases: 'info: ann\n',
}

/** What the map answers and the sources say before the change and after it. */
export const sampleBefore = {
  answers: { bob: 'fritz', zoe: 'unknown', info: 'expand' },
  texts: sources,
}
export const sampleAfter = {
  answers: { bob: 'ingrid', zoe: 'ingrid', info: 'unknown' },
  texts: {
    user_map: '# users\nann@example.com\tfritz\nbob@example.com\tingrid\nzoe@example.com ingrid\n',
    aliases: '',
  },
}

/** Writes the sources into a folder, and builds their map. */
export async function buildSample(folder: string): Promise<Config> {
  for (const [name, text] of Object.entries(sources)) writeFileSync(`${folder}/${name}`, text)
  const config = configOf(folder, `${folder}/map.db`)
  await buildMap(config)
  return config
}

/** To be compared with `sampleBefore` and `sampleAfter`. */
export function findSample(config: Config, folder: string): typeof sampleBefore {
  const text = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8')
  return {
    answers: answersOf(config),
    texts: { user_map: text('user_map'), aliases: text('aliases') },
  }
}

export function answersOf(config: Config): typeof sampleBefore.answers {
  const of = (name: string): string => answerOf(config, `${name}@example.com`)
  return { bob: of('bob'), zoe: of('zoe'), info: of('info') }
}

/** The back-end that mail for an address goes to, or what else becomes of it. */
export function answerOf(config: Config, text: string): string {
  const map = openMapInForce(config)
  try {
    const address = parseAddress(text, config.naming)
    assert.ok(address)
    const found = map.resolve('delivery', address, config.naming)
    return found.result === 'route' ? found.destination.backend : found.result
  } finally {
    map.close()
  }
}

/** Appends zoe to user_map, gives bob another back-end, and drops the alias. */
export function planAll(folder: string, users = readFileSync(`${folder}/user_map`)): PlannedChange {
  const at = users.indexOf('fritz', users.indexOf('bob'))

  const aliases = Buffer.from(sources.aliases)
  return {
    description: 'three things at once',
    edits: [
      planSplices(`${folder}/user_map`, users, [
        { at, removeBytes: 5, insert: Buffer.from('ingrid') },
        { at: users.length, removeBytes: 0, insert: Buffer.from('zoe@example.com ingrid\n') },
      ]),
      planSplices(
        `${folder}/aliases`,
        aliases,
        [{ at: 0, removeBytes: aliases.length, insert: Buffer.from('') }],
        [{ line: 1, delta: -1 }],
      ),
    ],
    overrides: [
      { key: 'bob@example.com', entry: atIngrid, places: {} },
      { key: 'zoe@example.com', entry: atIngrid, places: {} },
      { key: 'info@', entry: undefined, places: {} },
    ],
  }
}

const atIngrid = {
  targets: undefined,
  delivery: { kind: 'backend', backend: 'ingrid' },
  retrieval: undefined,
} as const

/** Appends one user. */
export function planUser(folder: string, name: string): PlannedChange {
  const users = readFileSync(`${folder}/user_map`)
  const insert = Buffer.from(`${name}@example.com ingrid\n`)
  return {
    description: `user add ${name}@example.com ingrid`,
    edits: [planAppend(`${folder}/user_map`, users.length, users, insert)],
    overrides: [{ key: `${name}@example.com`, entry: atIngrid, places: {} }],
  }
}
