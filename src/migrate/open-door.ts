/** An administrator's way into a back-end, with the secrets that the config names. */
import { AdminDoor, adminOf } from '../backend/mailbox-access.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { BackendConfig, Config } from '../config/config.ts'
import { realDisk } from '../storage/disk.ts'

/** Throws ADMIN_MISSING, SECRET_UNREADABLE and TLS_UNUSABLE. */
export async function openDoor({ limits }: Config, backend: BackendConfig): Promise<AdminDoor> {
  const { passwordFile } = adminOf(backend)
  const password = (await readSecret(passwordFile)).replace(/\r?\n$/, '')
  if (password === '') throw new MailmuxError('SECRET_UNREADABLE', `${passwordFile}: it is empty`)
  const { tlsCaFile, tlsClient } = backend
  const authorities = tlsCaFile === undefined ? undefined : await readSecret(tlsCaFile)
  const client = tlsClient && {
    cert: await readSecret(tlsClient.certFile),
    key: await readSecret(tlsClient.keyFile),
  }
  return new AdminDoor(backend, limits, { password, authorities, client })
}

export async function readSecret(path: string): Promise<string> {
  try {
    return (await realDisk.read(path)).toString()
  } catch (error) {
    throw new MailmuxError('SECRET_UNREADABLE', `${path}: ${messageOf(error)}`, { cause: error })
  }
}
