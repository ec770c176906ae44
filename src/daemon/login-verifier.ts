/**
 * Logins that are judged here: by a passwd-file, and then taken to the back-end by its administrator.
 * The password of a user goes no further than this.
 */
import { adminProof } from '../backend/mailbox-access.ts'
import type { BackendConfig } from '../config/config.ts'
import type { Credentials } from '../protocol/login.ts'
import { passwordThread } from './password-thread.ts'

export class LoginVerifier {
  readonly #hashes: ReadonlyMap<string, string>
  readonly #adminPasswords: ReadonlyMap<string, string>

  /** `hashes`: by canonical user; `adminPasswords`: by back-end. */
  constructor(hashes: ReadonlyMap<string, string>, adminPasswords: ReadonlyMap<string, string>) {
    this.#hashes = hashes
    this.#adminPasswords = adminPasswords
  }

  /** Whether it is the password of that user; undefined where that can't be told now. */
  async isPassword(user: string, password: string): Promise<boolean | undefined> {
    const hash = this.#hashes.get(user) ?? ''
    return hash === '' ? false : passwordThread.isPassword(hash, password)
  }

  /** What logs in there for the user with that name; undefined where there is no administrator. */
  proofAt(backend: BackendConfig | undefined, login: string): Credentials | undefined {
    if (backend === undefined) return undefined
    const password = this.#adminPasswords.get(backend.name)
    return password === undefined ? undefined : adminProof(backend, password, login)
  }
}
