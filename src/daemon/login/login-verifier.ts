/**
 * Logins that are judged here: by a passwd-file or a directory, and then taken to the back-end by its
 * administrator. The password of a user goes no further than this.
 */
import { AdminLogins } from '../admin-logins.ts'
import { passwordThread } from './password-thread.ts'

/** Whether it is the password of that user; undefined where that can't be told now. */
export type IsPassword = (user: string, password: string) => Promise<boolean | undefined>

/** `hashes`: by canonical user. */
export function byHashes(hashes: ReadonlyMap<string, string>): IsPassword {
  return async (user, password) => {
    const hash = hashes.get(user) ?? ''
    return hash === '' ? false : passwordThread.isPassword(hash, password)
  }
}

export class LoginVerifier {
  readonly isPassword: IsPassword
  readonly admins: AdminLogins

  /** `adminPasswords`: by back-end. */
  constructor(isPassword: IsPassword, adminPasswords: ReadonlyMap<string, string>) {
    this.isPassword = isPassword
    this.admins = new AdminLogins(adminPasswords)
  }
}
