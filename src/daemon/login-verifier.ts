/**
 * Logins that are judged here: by a passwd-file or a directory, and then taken to the back-end by its
 * administrator. The password of a user goes no further than this.
 */
import { adminProof } from '../backend/mailbox-access.ts'
import type { BackendConfig } from '../config/config.ts'
import type { Credentials } from '../protocol/login.ts'
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
  readonly #adminPasswords: ReadonlyMap<string, string>

  /** `adminPasswords`: by back-end. */
  constructor(isPassword: IsPassword, adminPasswords: ReadonlyMap<string, string>) {
    this.isPassword = isPassword
    this.#adminPasswords = adminPasswords
  }

  /** What logs in there for the user with that name. */
  proofAt(backend: BackendConfig | undefined, login: string): Credentials {
    const password = this.#adminPasswords.get(backend?.name ?? '')
    // The config was checked: every back-end that users log in at has one.
    if (backend === undefined || password === undefined) throw new Error('no administrator')
    return adminProof(backend, password, login)
  }
}
