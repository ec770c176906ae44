/**
 * Passwords that a directory judges: who can log in there as the user's entry (a simple bind, RFC 4513
 * section 5.1.3) knows the one. Each question has a connection of its own, which ends with the answer.
 */
import type { Client } from 'ldapts'
import type { LdapBindConfig } from '../../config/config.ts'

/** Result codes that say something of the user: no such entry, no good name, wrong, not allowed. */
const refusals = new Set([32, 34, 48, 49, 50, 53])
const timeoutMs = 10_000
/** More at once wait their turn at no directory of ours. */
const mostAtOnce = 100

export class LdapBind {
  readonly #config: LdapBindConfig
  readonly #ca: string | undefined
  #running = 0

  /** `ca`: PEM text of the authorities; those of Node.js where undefined. */
  constructor(config: LdapBindConfig, ca: string | undefined) {
    this.#config = config
    this.#ca = ca
  }

  /** `password`: octets as a latin1 string. Undefined where the directory does not say. */
  async isPassword(user: string, password: string): Promise<boolean | undefined> {
    const text = Buffer.from(password, 'latin1').toString('utf8')
    // A bind without a password is one as nobody, and succeeds (RFC 4513 section 5.1.2).
    if (text === '' || Buffer.from(text, 'utf8').toString('latin1') !== password) return false
    if (this.#running >= mostAtOnce) return undefined
    this.#running++
    try {
      return await this.#bind(entryOf(this.#config.dn, user), text)
    } finally {
      this.#running--
    }
  }

  async #bind(dn: string, password: string): Promise<boolean | undefined> {
    const { url, tls } = this.#config
    const { Client: LdapClient, ResultCodeError } = await import('ldapts')
    const secured = tls === 'implicit' ? { tlsOptions: this.#tlsOptions() } : {}
    const client: Client = new LdapClient({
      url,
      timeout: timeoutMs,
      connectTimeout: timeoutMs,
      ...secured,
    })
    try {
      if (tls === 'starttls') await client.startTLS(this.#tlsOptions())
      await client.bind(dn, password)
      return true
    } catch (error) {
      return error instanceof ResultCodeError && refusals.has(error.code) ? false : undefined
    } finally {
      void client.unbind().catch(() => undefined)
    }
  }

  #tlsOptions() {
    const { host } = this.#config
    const isName = !/^[\d.]+$|:/.test(host)
    const ca = this.#ca === undefined ? {} : { ca: this.#ca }
    return { host, rejectUnauthorized: true, ...(isName ? { servername: host } : {}), ...ca }
  }
}

/** The name of the user's entry. */
export function entryOf(form: string, user: string): string {
  const at = user.lastIndexOf('@')
  const parts = { user, local: user.slice(0, at), domain: user.slice(at + 1) }
  return form.replaceAll(/\{(user|local|domain)\}/g, (_, part: keyof typeof parts) =>
    escapeValue(parts[part]),
  )
}

/** RFC 4514 section 2.4: any octet may be written as its number; so it never ends the value. */
function escapeValue(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9@._-]/gu, (sign) =>
    Buffer.from(sign).toString('hex').replaceAll(/../g, String.raw`\$&`),
  )
}
