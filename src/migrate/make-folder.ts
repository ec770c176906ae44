/** Makes a folder at the target, under another name where the one that it should have is refused. */
import { type FolderPair, substitutes, uniqueName } from './folder-map.ts'
import { type FolderList, Refusal } from './imap-answers.ts'
import type { ImapMailbox } from './imap-mailbox.ts'

/** Codes of refusals that another name does not help against. RFC 5530. */
const notOfName = new Set(['OVERQUOTA', 'NOPERM', 'UNAVAILABLE', 'SERVERBUG', 'LIMIT', 'INUSE'])

export interface FolderRoom {
  /** As it was before any was made. */
  readonly target: FolderList
  /** Names of folders that stand for one of the source; one that is made is added. */
  readonly claimed: Set<string>
}

/** Throws Refusal where no name was taken. `notes` hears of another name, and of a role that is lost. */
export async function makeFolder(
  target: ImapMailbox,
  pair: FolderPair,
  room: FolderRoom,
  notes: string[],
): Promise<FolderPair> {
  const { folders, naming, states } = room.target
  // One that holds nothing may be of a run that ended before it came to that folder.
  const vacant = folders.filter(({ name }) => states.get(name)?.messages === 0)
  const there = new Set(vacant.map(({ name }) => name))
  const full = folders.map(({ name }) => name).filter((name) => !there.has(name))
  const taken = new Set([...full, ...room.claimed])
  const others = substitutes(pair.target, naming).map((name) => uniqueName(name, taken))
  let refusal: Refusal | undefined
  for (const name of [pair.target, ...others]) {
    try {
      if (!there.has(name)) await create(target, name, pair.role, notes)
      room.claimed.add(name)
      const { source } = pair
      if (name !== pair.target || pair.isRenamed) notes.push(`${source.name} is called ${name}`)
      return { ...pair, target: name }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      refusal ??= error
      if (notOfName.has(error.code)) break
    }
  }
  throw refusal ?? new Refusal('', 'no name to try')
}

async function create(
  target: ImapMailbox,
  name: string,
  role: string | undefined,
  notes: string[],
): Promise<void> {
  try {
    await target.create(name, role)
    if (role !== undefined && !target.offers('CREATE-SPECIAL-USE')) {
      notes.push(`${name}: ${target.server} cannot be told that it is ${role}`)
    }
  } catch (error) {
    // A folder that came in between is as good as a new one.
    if (error instanceof Refusal && error.code === 'ALREADYEXISTS') return
    if (!(error instanceof Refusal) || role === undefined || error.code !== 'USEATTR') throw error
    await target.create(name, undefined)
    notes.push(`${name}: ${target.server} does not let it be ${role}`)
  }
}
