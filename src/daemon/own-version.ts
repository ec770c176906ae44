/** The version of this package, as the files beside this one have it: new ones may have come since. */
import { readFileSync } from 'node:fs'

/** Both src/daemon and the folders of the bundle lie two below the package. */
const packageFile = new URL('../../package.json', import.meta.url)

export function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }
  return version
}
