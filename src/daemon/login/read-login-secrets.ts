/** Reads what it takes to judge logins and to take them to back-ends. */
import { MailmuxError, messageOf } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { realDisk } from '../../storage/disk.ts'
import type { LoginSecrets } from '../settings.ts'

/** Undefined where back-ends judge logins. What can't be read is a problem, and then not there. */
export async function readLoginSecrets(
  { passwdFile, ldapBind, tls, backends }: Config,
  problems: MailmuxError[],
): Promise<LoginSecrets | undefined> {
  const isNeeded = [passwdFile, ldapBind, tls.clientCaFile].some((way) => way !== undefined)
  if (!isNeeded) return undefined
  const passwords = await readIfNamed(passwdFile, problems)
  const ldapCa = await readIfNamed(ldapBind?.tlsCaFile, problems)
  const admins = new Map<string, string>()
  for (const { name, admin } of backends.values()) {
    if (admin === undefined) continue
    const password = await readPassword(admin.passwordFile, problems)
    if (password !== undefined) admins.set(name, password)
  }
  return { passwords: passwords ?? '', ldapCa, admins }
}

/** Undefined where nobody logs in at the smarthost by a password. */
export async function readSmarthostPassword(
  { smarthostLogin }: Config,
  problems: MailmuxError[],
): Promise<string | undefined> {
  if (typeof smarthostLogin !== 'object') return undefined
  return readPassword(smarthostLogin.passwordFile, problems)
}

async function readPassword(file: string, problems: MailmuxError[]): Promise<string | undefined> {
  const password = (await readSecret(file, problems))?.replace(/\r?\n$/, '')
  if (password !== '') return password
  problems.push(unreadable(file, 'it is empty'))
  return undefined
}

async function readIfNamed(
  file: string | undefined,
  problems: MailmuxError[],
): Promise<string | undefined> {
  return file === undefined ? undefined : readSecret(file, problems)
}

async function readSecret(file: string, problems: MailmuxError[]): Promise<string | undefined> {
  try {
    return (await realDisk.read(file)).toString()
  } catch (error) {
    problems.push(unreadable(file, messageOf(error), error))
    return undefined
  }
}

function unreadable(file: string, what: string, cause?: unknown): MailmuxError {
  return new MailmuxError('SECRET_UNREADABLE', `${file}: ${what}`, { cause })
}
