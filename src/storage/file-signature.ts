/** Tells whether a file is still what it was, without reading it. */
import { stat } from 'node:fs/promises'
import { listSourceFiles } from './chunked-read.ts'

/** What `signatureOf` says of what is not there, or cannot be looked at. */
export const noFile = 'none'

/**
 * Another text after every change of a file: of its contents, of which file has the name, of who may
 * read it. Of a directory, another one where files come and go that a source would be read from.
 */
export async function signatureOf(path: string): Promise<string> {
  try {
    const found = await stat(path, { bigint: true })
    const { dev, ino, size, mtimeNs, ctimeNs } = found
    if (!found.isDirectory()) return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
    // Editors make and remove files of their own there all the time.
    return ['directory', ...(await listSourceFiles(path))].join('\0')
  } catch {
    return noFile
  }
}

/** The signature of each path, now. */
export async function signaturesOf(paths: Iterable<string>): Promise<Map<string, string>> {
  const signed = [...paths].map(async (path) => [path, await signatureOf(path)] as const)
  return new Map(await Promise.all(signed))
}
