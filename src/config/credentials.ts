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
  const found = (path: string): string =>
    isCredential(path) ? join(folder, path.slice(folderMark.length)) : path
  const databases = config.map.databases.map((database) => {
    const { passwordFile } = database
    return passwordFile === undefined
      ? database
      : { ...database, passwordFile: found(passwordFile) }
  })
  const backends = [...config.backends].map(([name, backend]) => {
    const { admin } = backend
    if (admin === undefined) return [name, backend] as const
    const own = { ...admin, passwordFile: found(admin.passwordFile) }
    return [name, { ...backend, admin: own }] as const
  })
  const login = config.smarthostLogin
  const smarthostLogin =
    typeof login === 'object' ? { ...login, passwordFile: found(login.passwordFile) } : login
  return {
    ...config,
    backends: new Map(backends),
    smarthostLogin,
    map: { ...config.map, databases },
  }
}
