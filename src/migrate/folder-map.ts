/**
 * Which folder of the target stands for which of the source. Pure: what is there and what was decided
 * before comes in, and a pass that comes later decides the same.
 *
 * A folder is known by the names on the way to it, as Unicode, without the prefix of the personal
 * namespace; each side writes them with a delimiter of its own. A folder with a role (`\Sent`) goes to
 * the target's folder of that role, whatever its name, unless another folder has that name.
 */

/** As LIST tells of it. */
export interface ListedFolder {
  /** As the server writes it, as Unicode. */
  readonly name: string
  /** '' where there are no levels. */
  readonly delimiter: string
  readonly isSelectable: boolean
  readonly isSubscribed: boolean
  /** `\Sent` and the like (RFC 6154), as the server itself says; undefined where it says none. */
  readonly role: string | undefined
}

/** How a server names folders. */
export interface Naming {
  /** Of the personal namespace (RFC 2342), such as `INBOX.`; often ''. */
  readonly prefix: string
  readonly delimiter: string
}

export interface FolderPair {
  readonly source: ListedFolder
  readonly target: string
  /** The target has none of that name. */
  readonly isNew: boolean
  /** It is to be made with this role, or could not be given it. */
  readonly role: string | undefined
  /** The name there is not the one that was to be. */
  readonly isRenamed: boolean
}

export interface MappingInput {
  readonly source: { readonly folders: readonly ListedFolder[]; readonly naming: Naming }
  readonly target: { readonly folders: readonly ListedFolder[]; readonly naming: Naming }
  /** Names at the target that were decided before, by name at the source. */
  readonly known: ReadonlyMap<string, string>
  /** Names at the target that somebody wants, by name at the source. */
  readonly wanted: ReadonlyMap<string, string>
}

export function mapFolders({ source, target, known, wanted }: MappingInput): FolderPair[] {
  const there = new Map(target.folders.map((folder) => [folder.name, folder]))
  const natural = new Map(
    source.folders.map(({ name }) => [name, write(pathOf(name, source.naming), target.naming)]),
  )
  const claimed = new Set(natural.values())
  const byRole = new Map(
    target.folders.flatMap(({ role, name }) => (role === undefined ? [] : [[role, name] as const])),
  )
  const taken = new Set<string>()
  const choose = (folder: ListedFolder): string => {
    const decided = known.get(folder.name) ?? wanted.get(folder.name)
    if (decided !== undefined) return decided
    const own = natural.get(folder.name) ?? folder.name
    const role = folder.role === undefined ? undefined : byRole.get(folder.role)
    const isFree = role !== undefined && (role === own || !claimed.has(role)) && !taken.has(role)
    return uniqueName(isFree ? role : own, taken)
  }
  const selectable = source.folders.filter(({ isSelectable }) => isSelectable)
  // What was decided has its name before others choose one.
  for (const { name } of selectable) {
    const decided = known.get(name) ?? wanted.get(name)
    if (decided !== undefined) taken.add(decided)
  }
  return selectable.map((folder) => {
    const name = choose(folder)
    taken.add(name)
    const { role } = folder
    return {
      source: folder,
      target: name,
      isNew: there.get(name)?.isSelectable !== true,
      role: role !== undefined && byRole.get(role) === name ? undefined : role,
      isRenamed: name !== natural.get(folder.name) && byRole.get(role ?? '') !== name,
    }
  })
}

/** The names on the way to a folder. INBOX is one name in any case. */
export function pathOf(name: string, { prefix, delimiter }: Naming): string[] {
  if (name.toUpperCase() === 'INBOX') return ['INBOX']
  const own = prefix !== '' && name.startsWith(prefix) ? name.slice(prefix.length) : name
  return delimiter === '' ? [own] : own.split(delimiter)
}

function write(path: readonly string[], { prefix, delimiter }: Naming): string {
  if (path.length === 1 && path[0] === 'INBOX') return 'INBOX'
  // A name with the other side's delimiter in it would be two.
  const names = path.map((name) => (delimiter === '' ? name : name.replaceAll(delimiter, '_')))
  return prefix + names.join(delimiter === '' ? '_' : delimiter)
}

/** Characters of a name that stands for one that is too deep or too long; most servers take 255 octets. */
const shortChars = 60

/**
 * Names to try, one after the other, where a server refuses one: first what is often refused is
 * replaced, then whatever is not a letter or digit of ASCII; then the end of it as a single level.
 */
export function substitutes(name: string, { prefix, delimiter }: Naming): string[] {
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : name
  const levels = delimiter === '' ? [rest] : rest.split(delimiter)
  const joined = (by: string, each: (level: string) => string): string =>
    levels.map((level) => each(level) || '_').join(by)
  const bare = (level: string): string => mild(level).replace(/[^A-Za-z0-9 _+-]/g, '_')
  const short = (each: (level: string) => string): string =>
    Array.from(joined('_', each)).slice(-shortChars).join('')
  const tries = [joined(delimiter, mild), joined(delimiter, bare), short(mild), short(bare)]
  return [...new Set(tries.map((one) => prefix + one))].filter((one) => one !== name)
}

function mild(level: string): string {
  return (
    level
      // oxlint-disable-next-line no-control-regex -- control characters are among what is refused
      .replace(/[\u0000-\u001f\u007f*%/\\.&"~]/g, '_')
      .replace(/^[ ]+|[ ]+$/g, (blanks) => '_'.repeat(blanks.length))
  )
}

/** The name, or with a number behind it where it is taken. */
export function uniqueName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name
  for (let number = 2; ; number++) {
    const other = `${name}_${number}`
    if (!taken.has(other)) return other
  }
}
