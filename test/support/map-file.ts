/** A map database that names nobody: for tests in which only its generation matters. */
import { DatabaseWriter } from '../../src/map/database/database-writer.ts'
import { replaceFile } from '../../src/storage/atomic-file.ts'
import { realDisk } from '../../src/storage/disk.ts'

/** Publishes an empty map of that generation under `path`, as a build would. */
export async function writeEmptyMap(path: string, generation: number): Promise<void> {
  await replaceFile(realDisk, path, async (file) => {
    const writer = new DatabaseWriter(file, [1, 2])
    await writer.finish({
      generation,
      sourceDigest: Buffer.alloc(32),
      path,
      meta: { rules: [], patterns: [], smarthost: null, backends: [], domains: [], files: [] },
    })
  })
}
