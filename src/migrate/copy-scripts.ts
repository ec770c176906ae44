/**
 * Sieve scripts, and which of them is active. A script of the target that the source does not have
 * stays, but is not active.
 */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { SieveConnection, SieveRefusal } from '../backend/sieve-connection.ts'
import type { CopyEnds } from './copy-session.ts'

export interface Scripts {
  /** Octets as latin1 strings. */
  readonly texts: ReadonlyMap<string, string>
  /** '' where none is. */
  readonly active: string
}

export interface ScriptsPlan {
  /** Names of scripts that are to be put there. */
  readonly put: readonly string[]
  /** Undefined where it is as it should be. */
  readonly activate: string | undefined
}

/** What has to be done for the target's scripts to be those of the source. Pure. */
export function planScripts(source: Scripts, target: Scripts): ScriptsPlan {
  const put = [...source.texts].flatMap(([name, text]) =>
    target.texts.get(name) === text ? [] : [name],
  )
  return { put, activate: source.active === target.active ? undefined : source.active }
}

export interface ScriptsReport {
  readonly copied: number
  /** What is not there, for a person. */
  readonly problems: readonly string[]
}

/** Throws what connections throw. A back-end without a port for it has no scripts. */
export async function copyScripts(ends: CopyEnds, signal: AbortSignal): Promise<ScriptsReport> {
  if (!hasScripts(ends.source)) return { copied: 0, problems: [] }
  try {
    return await copyThem(ends, signal)
  } catch (error) {
    if (!(error instanceof SieveRefusal)) throw error
    return { copied: 0, problems: [`Sieve scripts: ${error.message}`] }
  }
}

/** Throws SieveRefusal where one of them does not show its scripts. */
async function copyThem(ends: CopyEnds, signal: AbortSignal): Promise<ScriptsReport> {
  using from = await SieveConnection.open(ends.source, signal)
  const source = await readScripts(from)
  if (!hasScripts(ends.target)) {
    const { size } = source.texts
    const count = size === 1 ? 'a Sieve script is' : `${size} Sieve scripts are`
    const problems = size === 0 ? [] : [`${count} left behind: ${ends.target.server} has no port`]
    return { copied: 0, problems }
  }
  using to = await SieveConnection.open(ends.target, signal)
  const target = await readScripts(to)
  const problems: string[] = []
  const tried = async (name: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work()
      return true
    } catch (error) {
      if (!(error instanceof SieveRefusal)) throw error
      problems.push(`Sieve script ${name}: ${ends.target.server}: ${error.message}`)
      return false
    }
  }
  const { put, activate } = planScripts(source, target)
  let copied = 0
  for (const name of put) {
    if (await tried(name, () => to.put(name, source.texts.get(name) ?? ''))) copied++
  }
  if (activate !== undefined) await tried(activate, () => to.activate(activate))
  if (copied > 0 && problems.length === 0) {
    const left = planScripts(source, await readScripts(to))
    for (const name of left.put) problems.push(`Sieve script ${name} is not what was put there`)
  }
  return { copied, problems }
}

function hasScripts({ endpoints }: MailboxAccess): boolean {
  return endpoints.sieve !== undefined
}

/** Throws SieveRefusal, with the name of the server. */
async function readScripts(connection: SieveConnection): Promise<Scripts> {
  try {
    const listed = await connection.list()
    const texts = new Map<string, string>()
    for (const { name } of listed) texts.set(name, await connection.get(name))
    return { texts, active: listed.find(({ isActive }) => isActive)?.name ?? '' }
  } catch (error) {
    if (!(error instanceof SieveRefusal)) throw error
    throw new SieveRefusal(`${connection.server}: ${error.message}`)
  }
}
