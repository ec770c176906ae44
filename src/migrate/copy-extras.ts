/**
 * Carries rights of others and annotations of folders along. What the target has no place for, or
 * refuses, is told, and keeps nobody from anything.
 */
import { CarriedStore } from '../map/state/carried-store.ts'
import type { CopyRoute } from '../map/state/copy-journal.ts'
import type { CopyEnds, CopySession } from './copy-session.ts'
import {
  nameThere,
  noteName,
  oldRights,
  planExtras,
  readExtras,
  readNotes,
  rightsName,
} from './folder-extras.ts'
import type { FolderPair } from './folder-map.ts'
import { Refusal } from './imap-answers.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import { type Attribute, nameOf } from './imap-words.ts'

export interface ExtrasWork {
  readonly route: CopyRoute
  readonly ends: CopyEnds
  readonly session: CopySession
  readonly pairs: readonly Pick<FolderPair, 'source' | 'target'>[]
  readonly stateDir: string
  /** What was carried before by this run, by folder: where the source has the same, nothing is done. */
  readonly seen: Map<string, string>
  /** Nobody waits for folders that are not begun by then; monotonic milliseconds. */
  readonly until?: number
}

export interface ExtrasReport {
  /** Set or taken away at the target. */
  readonly changed: number
  /** What is not there, for a person. */
  readonly notes: readonly string[]
  /** There was time for all folders. */
  readonly isWhole: boolean
}

/** A line for each folder to which others have rights, for a person. Changes nothing. */
export async function tellShared(
  { source, target }: CopySession,
  { ends, pairs }: Pick<ExtrasWork, 'ends' | 'pairs'>,
): Promise<string[]> {
  const lines: string[] = []
  for (const { source: folder } of pairs) {
    const { rights } = await readExtras(source, folder.name, ends.source.login)
    const who = [...(rights?.keys() ?? [])].sort().join(', ')
    const loss = target.offers('ACL') ? '' : `, which ${target.server} has no place for`
    if (who !== '') lines.push(`${folder.name}: shared with ${who}${loss}`)
  }
  return lines
}

/** Throws what connections and state throw. */
export async function copyExtras(work: ExtrasWork): Promise<ExtrasReport> {
  const { source } = work.session
  if (!source.offers('ACL') && !source.offers('METADATA'))
    return { changed: 0, notes: [], isWhole: true }
  using store = await CarriedStore.open(work.stateDir)
  const carrying = new Carrying(work, store)
  if (!work.seen.has('')) await carrying.tellOwn()
  for (const pair of work.pairs) {
    if (performance.now() > (work.until ?? Number.POSITIVE_INFINITY)) {
      carrying.isWhole = false
      break
    }
    await carrying.folder(pair.source.name, pair.target)
  }
  return carrying
}

class Carrying implements ExtrasReport {
  changed = 0
  isWhole = true
  readonly notes: string[] = []
  readonly #work: ExtrasWork
  readonly #store: CarriedStore
  readonly #names: Readonly<Record<'source' | 'target', Set<string>>>

  constructor(work: ExtrasWork, store: CarriedStore) {
    this.#work = work
    this.#store = store
    const { user, source, target } = work.route
    const namesAt = (backend: string): Set<string> => new Set(store.find({ user, backend }))
    this.#names = { source: namesAt(source), target: namesAt(target) }
  }

  /** Of the mailbox as a whole: what others put at a server (`/shared`) is none of the user's. */
  async tellOwn(): Promise<void> {
    const { session, seen } = this.#work
    seen.set('', '')
    for (const name of (await readNotes(session.source, ''))?.keys() ?? []) {
      if (!name.toLowerCase().startsWith('/private/')) continue
      this.notes.push(`${noteName(name)} of the whole mailbox left behind`)
    }
  }

  async folder(from: string, to: string): Promise<void> {
    const { session, ends, seen } = this.#work
    const here = await readExtras(session.source, from, ends.source.login)
    const text = JSON.stringify([here.rights, here.notes].map((all) => all && [...all]))
    if (seen.get(from) === text) return
    const there = await readExtras(session.target, to, ends.target.login)
    const plan = planExtras(here, there, (name) => this.#names.target.has(key(to, name)))
    const names = [
      ...[...(here.rights?.keys() ?? [])].map(rightsName),
      ...[...(here.notes?.keys() ?? [])].map(noteName),
    ]
    // Written down before it is done: what is there without being named here would stay for ever.
    this.#remember('target', to, names)
    const refused = new Set<string>()
    const tried = async (name: string, work: () => Promise<void>): Promise<void> => {
      if (!(await this.#tried(to, name, work))) refused.add(name)
    }
    for (const [who, letters] of plan.rights) {
      const whom = nameThere(who, there)
      await tried(rightsName(who), () => setRights(session.target, to, whom, letters))
    }
    for (const [name, value] of plan.notes) {
      await tried(noteName(name), () => setNote(session.target, to, name, value))
    }
    // What never came to the target is not gone there on the way back.
    this.#remember(
      'source',
      from,
      names.filter((name) => !refused.has(name)),
    )
    seen.set(from, text)
  }

  #remember(end: 'source' | 'target', folder: string, all: readonly string[]): void {
    const { user, [end]: backend } = this.#work.route
    const names = this.#names[end]
    const before = names.size
    for (const name of all) names.add(key(folder, name))
    if (names.size > before) this.#store.put({ user, backend }, names)
  }

  /** Whether it was done. */
  async #tried(folder: string, name: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      this.changed++
      return true
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const { server } = this.#work.session.target
      this.notes.push(`${folder}: ${name} left behind: ${server}: ${error.message}`)
      return false
    }
  }
}

function key(folder: string, name: string): string {
  return JSON.stringify([folder, name])
}

/** Throws Refusal. */
async function setRights(
  target: ImapMailbox,
  folder: string,
  who: string,
  letters: string | undefined,
): Promise<void> {
  if (!target.offers('ACL')) throw new Refusal('', 'it has no ACL')
  const whom = { type: 'STRING', value: who } as const
  if (letters === undefined) {
    await target.responses('DELETEACL', [nameOf(folder), whom], [])
    return
  }
  // RFC 4314 section 5.1.1: who has the new letters names them in a capability.
  const written = target.offers('RIGHTS=') ? letters : oldRights(letters)
  await target.responses('SETACL', [nameOf(folder), whom, { type: 'STRING', value: written }], [])
}

/** Throws Refusal. */
async function setNote(
  target: ImapMailbox,
  folder: string,
  name: string,
  value: string | undefined,
): Promise<void> {
  if (!target.offers('METADATA')) throw new Refusal('', 'it has no METADATA')
  const literal: Attribute | null =
    value === undefined ? null : { type: 'LITERAL', value: Buffer.from(value, 'latin1') }
  const entry = { type: 'ATOM', value: name } as const
  await target.responses('SETMETADATA', [nameOf(folder), [entry, literal]], [])
}
