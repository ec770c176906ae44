/** Sources, and a change of them that edits two files in the ways that there are. */
import { readFileSync } from 'node:fs'
import type { PlannedChange } from '../../src/map/state/apply-change.ts'
import { planAppend, planSplices } from '../../src/map/state/source-edit.ts'

export const sources = {
  user_map: '# users\nann@example.com\tfritz\nbob@example.com\tfritz\n',
  aliases: 'info: ann\n',
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
