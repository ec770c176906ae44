/** Adding a user: where somebody says, or where the rules would put a new one. */
import { MailmuxError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { type Address, parseAddress } from '../../mail/address.ts'
import { nameOf } from '../key.ts'
import type { TracingReader } from '../open.ts'
import { parseLoginValue, parseUserValue } from '../sources/parse-value.ts'
import { applyChange, type PlannedChange } from '../state/apply-change.ts'
import type { Value } from '../value.ts'
import {
  type ChangeReport,
  isSame,
  keyOf,
  type Planning,
  planUser,
  report,
  type UserRequest,
  valueOf,
  warnTo,
} from './change-user.ts'
import { chooseHome, refuseDraining } from './choose-home.ts'

/** Without a value a back-end is chosen. */
export type AddRequest = Omit<UserRequest, 'value'> & { readonly value: string | undefined }

/**
 * Adds a user, or changes one that is there where `replace` says so. Throws USAGE, USER_EXISTS,
 * CHANGE_REFUSED with what is wrong, and what `applyChange` throws.
 */
export async function addUser(config: Config, request: AddRequest): Promise<ChangeReport> {
  const key = keyOf(config, request.name, request.everyDomain)
  const { value } = request
  return value === undefined
    ? placeUser(config, request, key)
    : writeUser(config, { ...request, value }, key)
}

async function writeUser(config: Config, request: UserRequest, key: string): Promise<ChangeReport> {
  const warnings: string[] = []
  const values = {
    delivery: valueOf(config, request.value, parseUserValue, warnings),
    ...(request.retrieval === undefined
      ? {}
      : { retrieval: valueOf(config, request.retrieval, parseLoginValue, warnings) }),
  }
  const generation = await applyChange(
    config,
    (map, known) => {
      for (const side of ['delivery', 'retrieval'] as const) {
        const wanted = values[side]
        if (wanted === undefined || isSame(map.lookup.find(key)?.[side], wanted)) continue
        refuseDraining(wanted, homeIn(map, config, key, side), config.backends)
      }
      return planUser({ config, map, known, key, warnings }, values, request)
    },
    warnTo(warnings),
  )
  return report(key, generation, warnings)
}

function addressOf(key: string, { naming }: Config): Address | undefined {
  return parseAddress(nameOf(key), naming)
}

/** The back-end that mail or logins of a user go to now. */
function homeIn(
  map: TracingReader,
  config: Config,
  key: string,
  side: 'delivery' | 'retrieval',
): string | undefined {
  const address = addressOf(key, config)
  const found = address && map.resolve(side, address, config.naming)
  return found?.result === 'route' ? found.destination.backend : undefined
}

/** Who is there already stays there. */
async function placeUser(config: Config, request: AddRequest, key: string): Promise<ChangeReport> {
  const { everyDomain, retrieval, replace } = request
  const address = addressOf(key, config)
  if (everyDomain || retrieval !== undefined || replace || address === undefined) {
    const what = 'only a user of one domain, who is not there yet, is placed: name a back-end'
    throw new MailmuxError('USAGE', what)
  }
  const warnings: string[] = []
  let backend: string | undefined
  const plan = (planning: Planning): Promise<PlannedChange | undefined> => {
    const { map } = planning
    if (map.lookup.find(key)?.delivery !== undefined) return Promise.resolve(undefined)
    const home = chooseHome(map.lookup.rules, address, config.backends)
    backend = home.backend
    if (backend !== home.byRule) {
      const what = `a rule says ${home.byRule}, which takes no new users`
      warnings.push(`${what}: mail that is there already would stay behind`)
    }
    const value: Value = { kind: 'backend', backend }
    return planUser(planning, { delivery: value }, { ...request, value: backend })
  }
  const generation = await applyChange(
    config,
    (map, known) => plan({ config, map, known, key, warnings }),
    warnTo(warnings),
  )
  const told = report(key, generation, warnings)
  return backend === undefined ? told : { ...told, backend }
}
