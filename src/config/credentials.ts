/** Secrets that systemd hands to a service in a folder of its own: `LoadCredential=` and the like. */
import { join } from 'node:path'
import type { Config } from './config.ts'

const folderMark = '$CREDENTIALS_DIRECTORY/'

/** True for a name in that folder, where it has not been looked up yet, or there is none. */
export function isCredential(path: string): boolean {
  return path.startsWith(folderMark)
}

/** The config with the files in the folder; as it is where there is no folder. */
export function withCredentials(config: Config, folder: string | undefined): Config {
  if (folder === undefined || folder === '') return config
  const databases = config.map.databases.map((database) => {
    const { passwordFile } = database
    if (passwordFile === undefined || !isCredential(passwordFile)) return database
    return { ...database, passwordFile: join(folder, passwordFile.slice(folderMark.length)) }
  })
  return { ...config, map: { ...config.map, databases } }
}
