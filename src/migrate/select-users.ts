/** Whose mailboxes are to be brought over, and what they are called at both ends. */
import { MailmuxError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { type Address, parseAddress } from '../mail/address.ts'
import { listUsers } from '../map/listing.ts'
import type { TracingReader } from '../map/open.ts'

export interface MigratingUser {
  /** The canonical address. */
  readonly user: string
  readonly sourceLogin: string
  readonly targetLogin: string
}

/** A pattern of names, or lines of a file. */
export type UserChoice =
  | { readonly kind: 'pattern'; readonly pattern: string | undefined }
  | { readonly kind: 'lines'; readonly file: string; readonly text: string }

/**
 * In the order in which they are named. Throws USER_UNKNOWN for a name that is nobody's, or whose
 * logins do not go to `from`, and where nobody is left.
 */
export function selectUsers(
  map: TracingReader,
  config: Config,
  from: string,
  choice: UserChoice,
): MigratingUser[] {
  const users = new Map<string, MigratingUser>()
  const named = choice.kind === 'lines' ? linesOf(choice) : undefined
  const add = (user: MigratingUser): void => void users.set(user.user, user)
  if (named !== undefined) for (const line of named) add(userNamed(map, config, from, line))
  else if (choice.kind === 'pattern') {
    const { pattern } = choice
    // A name without wildcards may be one that only rules place.
    if (pattern !== undefined && !/[*?]/.test(pattern)) {
      add(userNamed(map, config, from, { place: pattern, words: [pattern] }))
    } else {
      for (const { user } of listUsers(map, { backend: from, match: pattern })) {
        const found = placed(map, config, from, parseAddress(user, config.naming))
        if (found !== undefined) add(found)
      }
    }
  }
  if (users.size > 0) return [...users.values()]
  const isAll = choice.kind === 'pattern' && choice.pattern === undefined
  const way = 'give those whom rules place there by --users FILE'
  const what = isAll
    ? `the sources of the map name nobody at ${from}: ${way}`
    : `nobody of those is at ${from}`
  throw new MailmuxError('USER_UNKNOWN', what)
}

interface NamedLine {
  readonly place: string
  /** User, login at the source, login at the target. */
  readonly words: readonly string[]
}

function linesOf({ file, text }: Extract<UserChoice, { kind: 'lines' }>): NamedLine[] {
  return text.split('\n').flatMap((line, index) => {
    const words = line
      .replace(/(?:^|\s)#.*$/, '')
      .trim()
      .split(/\s+/)
    return words[0] === '' ? [] : [{ place: `${file}:${index + 1}`, words }]
  })
}

function userNamed(
  map: TracingReader,
  config: Config,
  from: string,
  { place, words }: NamedLine,
): MigratingUser {
  const [name = '', sourceLogin, targetLogin = sourceLogin] = words
  const address = parseAddress(name, config.naming)
  if (address === undefined || words.length > 3) {
    throw new MailmuxError('USER_UNKNOWN', `${place}: ${words.join(' ')}: no name of a user`)
  }
  if (sourceLogin !== undefined && targetLogin !== undefined) {
    return { user: address.key, sourceLogin, targetLogin }
  }
  const found = placed(map, config, from, address)
  if (found !== undefined) return found
  throw new MailmuxError('USER_UNKNOWN', `${place}: logins of ${address.key} do not go to ${from}`)
}

/** Undefined where logins go elsewhere. */
function placed(
  map: TracingReader,
  { naming }: Config,
  from: string,
  address: Address | undefined,
): MigratingUser | undefined {
  if (address === undefined) return undefined
  const resolution = map.resolve('retrieval', address, naming)
  if (resolution.result !== 'route' || resolution.destination.backend !== from) return undefined
  const { login } = resolution.destination
  return { user: resolution.user, sourceLogin: login, targetLogin: login }
}
