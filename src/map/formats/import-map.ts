/** Reads foreign maps and writes them as sources of ours. */
import { isUtf8 } from 'node:buffer'
import { join } from 'node:path'
import { MailmuxError, messageOf } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { replaceFile } from '../../storage/atomic-file.ts'
import { readWhole } from '../../storage/chunked-read.ts'
import { realDisk } from '../../storage/disk.ts'
import type { Note } from './fact.ts'
import type { MapFormat, Parsed } from './map-format.ts'
import { type WrittenSources, writeSources } from './write-sources.ts'

export interface ImportRequest {
  readonly format: MapFormat
  readonly files: readonly string[]
  readonly backend: string | undefined
  /** Without one, back-ends are named after their hosts. */
  readonly config: Config | undefined
}

/** Throws USAGE where the form is not read, and MAP_SOURCE_UNREADABLE. */
export async function importMap(request: ImportRequest): Promise<WrittenSources> {
  const { format, files, backend, config } = request
  const { parse } = format
  if (parse === undefined) throw new MailmuxError('USAGE', `${format.name} is only written`)
  const parsed: Parsed[] = []
  for (const file of files) {
    const found = parse({ file, text: await readText(file), backend })
    const isNothing = found.facts.length + found.notes.length === 0
    parsed.push(isNothing ? { facts: [], notes: [nothingIn(file, format.name)] } : found)
  }
  const written = writeSources(
    parsed.flatMap(({ facts }) => facts),
    config,
  )
  const draining = noteOfDraining(request)
  const notes = [...draining, ...parsed.flatMap(({ notes }) => notes), ...written.notes]
  return { ...written, notes }
}

/** Who is there already may be imported; who is new had better live elsewhere. */
function noteOfDraining({ backend = '', config }: ImportRequest): Note[] {
  if (config?.backends.get(backend)?.state !== 'draining') return []
  const reason = 'it takes no new users, it is being drained'
  return [{ about: backend, reason, isCarried: true }]
}

/** As of an empty file, or of one that is all comments. */
function nothingIn(file: string, format: string): Note {
  const at = { file, line: 1, column: 1 }
  return { at, about: file, reason: `nothing of the form ${format} is in it`, isCarried: true }
}

/** More than a string can hold, and than any such map has. */
const sizeLimitBytes = 256 << 20

async function readText(file: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): never => {
    throw new MailmuxError('MAP_SOURCE_UNREADABLE', `${file}: ${why}`, { cause })
  }
  const found = await readWhole(file, sizeLimitBytes).catch((error: unknown) => {
    return refuse(`cannot be read: ${messageOf(error)}`, error)
  })
  const bytes = found ?? refuse(`more than ${sizeLimitBytes} bytes: divide it`)
  const nul = bytes.indexOf(0)
  if (nul !== -1) refuse(`a NUL byte at ${nul}: name the text, not a compiled map`)
  if (!isUtf8(bytes)) refuse('it is not UTF-8')
  return bytes.toString().replace(/^\ufeff/, '')
}

/**
 * Writes each source as a file of its name. Throws CHANGE_REFUSED where one is there already and
 * `force` is not set, and MAP_SOURCE_UNWRITABLE. Returns the paths.
 */
export async function storeSources(
  { texts }: WrittenSources,
  folder: string,
  force: boolean,
): Promise<string[]> {
  const paths = [...texts.keys()].map((name) => join(folder, name))
  try {
    await realDisk.makeDirectory(folder)
    const there = new Set((await realDisk.list(folder)).map((name) => join(folder, name)))
    const taken = paths.find((path) => there.has(path))
    if (taken !== undefined && !force) {
      throw new MailmuxError('CHANGE_REFUSED', `${taken} is there already: --force replaces it`)
    }
    for (const [name, text] of texts) {
      await replaceFile(realDisk, join(folder, name), (file) => file.write(Buffer.from(text), 0))
    }
    return paths
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    throw new MailmuxError('MAP_SOURCE_UNWRITABLE', messageOf(error), { cause: error })
  }
}

/** `file:line:column: about: reason`, or without a place; nothing in it moves a terminal. */
export function describeNote({ at, about, reason }: Note): string {
  const where = at === undefined ? '' : `${at.file}:${at.line}:${at.column}: `
  return `${where}${about === '' ? '' : `${about}: `}${reason}`.replace(/\p{C}/gu, '\ufffd')
}
