import { mkdirSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * Keeps compiled code beside the package, for whoever was first to run it and may write there; nobody
 * else may write to it, whatever the umask. Where it cannot be kept it is not.
 */
export function keepCompiled() {
  const directory = fileURLToPath(new URL('../.cache/compile', import.meta.url))
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch {
    return
  }
  module.enableCompileCache(directory)
}
