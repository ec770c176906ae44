/** How administrators of back-ends log in for users who have proven here who they are. */
import { adminProof } from '../backend/mailbox-access.ts'
import type { BackendConfig } from '../config/config.ts'
import type { Credentials } from '../protocol/login.ts'

export class AdminLogins {
  readonly #passwords: ReadonlyMap<string, string>

  /** `passwords`: by back-end. */
  constructor(passwords: ReadonlyMap<string, string>) {
    this.#passwords = passwords
  }

  /** What logs in there for the user with that name; undefined where nobody can. */
  proofAt(backend: BackendConfig | undefined, login: string): Credentials | undefined {
    const password = this.#passwords.get(backend?.name ?? '')
    if (backend === undefined || password === undefined) return undefined
    return adminProof(backend, password, login)
  }

  has(backend: string): boolean {
    return this.#passwords.has(backend)
  }
}
