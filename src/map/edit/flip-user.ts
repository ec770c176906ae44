/** Gives one user who moves another home: in the map in force, then in the text sources. */
import { MailmuxError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { type Address, parseAddress } from '../../mail/address.ts'
import type { Destination } from '../../mail/route.ts'
import type { TracingReader } from '../open.ts'
import { parseLoginValue, parseUserValue } from '../sources/parse-value.ts'
import { applyChange, type ChangeOptions, type PlannedChange } from '../state/apply-change.ts'
import type { KnownSources } from '../state/known-sources.ts'
import type { MovePlan } from '../state/move-journal.ts'
import type { SourceEdit } from '../state/source-edit.ts'
import {
  keptPlaces,
  keyOf,
  type Planning,
  planSide,
  planUser,
  sourceOf,
  valueOf,
} from './change-user.ts'
import { findKey } from './keyed-edit.ts'
import { readSource } from './source-files.ts'

/** Who moves where, in the words of the sources. */
export type Flipping = Omit<MovePlan, 'isReturn' | 'merge' | 'maxBad'>

type Side = 'delivery' | 'retrieval'

/** Says whether `flipUser` can be, and changes nothing. Throws as that does. */
export async function checkFlip(config: Config, flipping: Flipping): Promise<void> {
  await applyChange(config, async (map, known) => {
    await planFlip({ config, map, known }, flipping)
    return undefined
  })
}

/**
 * In force, and the step of the move written, or neither. Throws what `applyChange` throws; after
 * MAP_CHANGE_UNFINISHED it is in force, and the sources are not edited yet.
 */
export async function flipUser(
  config: Config,
  flipping: Flipping,
  flip: NonNullable<PlannedChange['flip']>,
  options: ChangeOptions,
): Promise<void> {
  const plan = async (map: TracingReader, known: KnownSources): Promise<PlannedChange> => {
    return { ...(await planFlip({ config, map, known }, flipping)), flip }
  }
  await applyChange(config, plan, options)
}

async function planFlip(
  place: Pick<Planning, 'config' | 'map' | 'known'>,
  { user, source, target, login, value, retrieval }: Flipping,
): Promise<PlannedChange> {
  const planning = planningOf(place, user)
  refuseMoved(planning, { user, source, login })
  const values = valuesOf(planning, { value, retrieval })
  const request = { name: user, everyDomain: false, value, retrieval, replace: true }
  const planned = await planUser(planning, values, request)
  const description = `user move ${user} ${source} ${target}`
  if (planned !== undefined) return { ...planned, description }
  throw new MailmuxError('MOVE_REFUSED', `${user} is at ${target} already, says the map`)
}

/**
 * The one mailbox that mail and logins of a user go to. Throws USER_UNKNOWN where there is none, and
 * MOVE_REFUSED where they go to different ones.
 */
export function homeOf(map: TracingReader, { naming }: Config, address: Address): Destination {
  const logins = map.resolve('retrieval', address, naming)
  const mail = map.resolveFinal(address, naming)
  if (logins.result !== 'route' || mail.result !== 'route') {
    const what = logins.result === 'route' ? mail.result : logins.result
    throw new MailmuxError('USER_UNKNOWN', `${address.key} has no mailbox, says the map (${what})`)
  }
  const { backend, login } = logins.destination
  if (mail.destination.backend === backend && mail.destination.login === login) {
    return logins.destination
  }
  const where = `mail goes to ${mail.destination.login} at ${mail.destination.backend}`
  const what = `${address.key}: ${where}, logins to ${login} at ${backend}`
  throw new MailmuxError('MOVE_REFUSED', what)
}

/** Somebody has given the user another home since the move was planned. */
function refuseMoved(
  { map, config }: Planning,
  { user, source, login }: Pick<Flipping, 'user' | 'source' | 'login'>,
): void {
  const address = parseAddress(user, config.naming)
  const home = address && homeOf(map, config, address)
  if (home?.backend === source && home.login === login) return
  const where = home === undefined ? 'nowhere' : `${home.login} at ${home.backend}`
  throw new MailmuxError('MOVE_REFUSED', `${user} is ${where}, not ${login} at ${source}`)
}

function planningOf(place: Pick<Planning, 'config' | 'map' | 'known'>, user: string): Planning {
  return { ...place, key: keyOf(place.config, user, false), warnings: [] }
}

function valuesOf(
  { config, warnings }: Planning,
  { value, retrieval }: { readonly value: string; readonly retrieval: string | undefined },
): Parameters<typeof planUser>[1] {
  const delivery = valueOf(config, value, parseUserValue, warnings)
  if (retrieval === undefined) return { delivery }
  return { delivery, retrieval: valueOf(config, retrieval, parseLoginValue, warnings) }
}

/**
 * Makes the sources say what is in force since the flip, where a command was ended before it had
 * edited them. Throws what `applyChange` throws.
 */
export async function writeFlip(
  config: Config,
  flipping: Flipping,
  options: ChangeOptions,
): Promise<void> {
  const { user, source, target, value, retrieval } = flipping
  const words = { delivery: value, retrieval }
  const plan = async (
    map: TracingReader,
    known: KnownSources,
  ): Promise<PlannedChange | undefined> => {
    const planning = planningOf({ config, map, known }, user)
    const entry = map.lookup.find(planning.key)
    if (entry === undefined) return undefined
    const edits: SourceEdit[] = []
    for (const side of ['delivery', 'retrieval'] as const) {
      const word = words[side]
      if (word === undefined || (await saysSo(planning, side, word))) continue
      edits.push((await planSide(planning, side, true, word)).edit)
    }
    if (edits.length === 0) return undefined
    const places = keptPlaces(planning, {})
    const description = `user move ${user} ${source} ${target}`
    return { description, edits, overrides: [{ key: planning.key, entry, places }] }
  }
  await applyChange(config, plan, options)
}

async function saysSo({ config, key }: Planning, side: Side, word: string): Promise<boolean> {
  const texts = await readSource(config, sourceOf[side])
  const found = texts.flatMap((text) => findKey(text, key, config.naming))
  return found.length > 0 && found.every(({ value }) => value.trim() === word)
}
