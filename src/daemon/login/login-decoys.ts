/**
 * What clients are answered in an exchange for users that nobody has: as a back-end would answer for
 * one that it has, in form and time, so that an exchange tells no more about who exists than a wrong
 * password does. The form is that of the exchanges that were carried before; where none was, Dovecot's.
 */
import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import type { Config } from '../../config/config.ts'
import { parseLogin } from '../../mail/login-name.ts'
import { type Exchange, isBearer } from '../../protocol/sasl/exchange.ts'
import { readClientFirst, type ServerFirst, writeServerFirst } from '../../protocol/sasl/scram.ts'
import type { Runtime } from '../runtime.ts'

export interface Decoy {
  readonly message: string
  /** How long a back-end takes to say as much. */
  readonly waitMs: number
}

interface ScramForm {
  nonceChars: number
  isBase64: boolean
  saltBytes: number
  iterations: number
  /** From taking the login to the back-end's first word, averaged. */
  tookMs: number
  /** Who stores passwords in clear text makes a new salt at every login. */
  hasNewSalts: boolean
  /** Digests of the last user and salt that were seen. */
  lastUser: string
  lastSalt: string
}

const unknownForm: Readonly<ScramForm> = {
  nonceChars: 64,
  isBase64: false,
  saltBytes: 16,
  iterations: 4096,
  tookMs: 0,
  hasNewSalts: false,
  lastUser: '',
  lastSalt: '',
}
/** Longer salts and nonces than these are nobody's form. */
const longestSaltBytes = 64
const longestNonceChars = 128
/** RFC 7628 section 3.2.2. */
const unknownError = '{"status":"invalid_token"}'
const base64Form = /^[A-Za-z0-9+/]+=*$/

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}

export class LoginDecoys {
  readonly #secret: Uint8Array
  readonly #forms = new Map<string, ScramForm>()
  readonly #errors = new Map<string, string>()

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  /** A back-end has begun an exchange of SCRAM, so long after the login was taken. */
  learnServerFirst(backend: string, exchange: Exchange, said: ServerFirst, tookMs: number): void {
    const { mechanism, login, first } = exchange
    const key = `${backend} ${mechanism}`
    const before = this.#forms.get(key)
    const own = said.nonce.slice(nonceIn(first).length)
    const [lastUser, lastSalt] = [digest(login), digest(said.salt)]
    const isSameUser = before?.lastUser === lastUser
    this.#forms.set(key, {
      nonceChars: Math.min(own.length, longestNonceChars),
      isBase64: base64Form.test(own),
      saltBytes: Math.min(said.salt.length, longestSaltBytes),
      iterations: said.iterations,
      tookMs: before === undefined ? tookMs : before.tookMs + (tookMs - before.tookMs) / 4,
      hasNewSalts: isSameUser ? before.lastSalt !== lastSalt : (before?.hasNewSalts ?? false),
      lastUser,
      lastSalt,
    })
  }

  /** A back-end has said why it takes no token. */
  learnError(backend: string, { mechanism }: Exchange, said: string): void {
    this.#errors.set(`${backend} ${mechanism}`, said)
  }

  /** `backend`: the one that has refused the user; undefined where no one was asked. */
  decoyFor(exchange: Exchange, config: Config, backend?: string): Decoy {
    const names = backend === undefined ? [...config.backends.keys()] : [backend]
    const keys = names.map((name) => `${name} ${exchange.mechanism}`)
    if (isBearer(exchange.mechanism)) {
      const known = keys.find((key) => this.#errors.has(key)) ?? ''
      return { message: this.#errors.get(known) ?? unknownError, waitMs: 0 }
    }
    const known = keys.find((key) => this.#forms.has(key)) ?? ''
    const form = this.#forms.get(known) ?? unknownForm
    const nonce = nonceIn(exchange.first) + newNonce(form)
    const salt = form.hasNewSalts
      ? randomBytes(form.saltBytes).toString('latin1')
      : this.#saltFor(exchange, config, form)
    const message = writeServerFirst({ nonce, salt, iterations: form.iterations })
    return { message, waitMs: backend === undefined ? form.tookMs : 0 }
  }

  /** The same at each time, for each way in which the name may be written. */
  #saltFor({ mechanism, login }: Exchange, config: Config, { saltBytes }: ScramForm): string {
    const user = parseLogin(login, config.naming)?.key ?? login
    const salt = hkdfSync('sha256', this.#secret, `${mechanism} ${user}`, 'salt', saltBytes)
    return Buffer.from(salt).toString('latin1')
  }
}

function nonceIn(first: string): string {
  const read = readClientFirst(first)
  return read.kind === 'name' ? read.nonce : ''
}

/** Printable, without a comma; or base64. */
function newNonce({ nonceChars, isBase64 }: ScramForm): string {
  if (isBase64) return randomBytes(nonceChars).toString('base64').slice(0, nonceChars)
  const octets = randomBytes(nonceChars).map((octet) => 0x21 + (octet % 94))
  return Buffer.from(octets).toString('latin1').replaceAll(',', '~')
}

const ofRuntime = new WeakMap<Runtime, LoginDecoys>()

export function loginDecoysOf(runtime: Runtime): LoginDecoys {
  const decoys = ofRuntime.get(runtime) ?? new LoginDecoys(runtime.secret)
  ofRuntime.set(runtime, decoys)
  return decoys
}
