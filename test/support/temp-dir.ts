/** A folder of one's own for the time of a test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempDir extends Disposable {
  readonly path: string
  join(...parts: string[]): string
}

/** `using dir = tempDir()`: removed with everything in it when the block ends. */
export function tempDir(): TempDir {
  const path = mkdtempSync(join(tmpdir(), 'mailmux-test-'))
  return {
    path,
    join: (...parts) => join(path, ...parts),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}
