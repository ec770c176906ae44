/** Both ends of SCRAM (RFC 5802, RFC 7677) as they are where passwords are known: for tests. */
import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

export type ScramName = 'SCRAM-SHA-1' | 'SCRAM-SHA-256'

const hashes = {
  'SCRAM-SHA-1': { name: 'sha1', bytes: 20 },
  'SCRAM-SHA-256': { name: 'sha256', bytes: 32 },
} as const

function keysOf(mechanism: ScramName, password: string, salt: Buffer, iterations: number) {
  const { name, bytes } = hashes[mechanism]
  const salted = pbkdf2Sync(password, salt, iterations, bytes, name)
  const hmac = (key: Buffer, text: string): Buffer => createHmac(name, key).update(text).digest()
  const clientKey = hmac(salted, 'Client Key')
  const storedKey = createHash(name).update(clientKey).digest()
  return {
    proof: (message: string) =>
      clientKey.map((octet, index) => octet ^ (hmac(storedKey, message)[index] ?? 0)),
    signature: (message: string) => hmac(hmac(salted, 'Server Key'), message).toString('base64'),
  }
}

export class ScramClient {
  readonly first: string
  readonly #mechanism: ScramName
  readonly #password: string
  readonly #nonce: string
  #signature = ''

  constructor(
    mechanism: ScramName,
    user: string,
    password: string,
    nonce = randomBytes(12).toString('hex'),
  ) {
    this.#mechanism = mechanism
    this.#password = password
    this.#nonce = nonce
    this.first = `n,,n=${user},r=${nonce}`
  }

  /** The last message, with the proof. */
  answer(serverFirst: string): string {
    const [, nonce = '', salt = '', iterations] =
      /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? []
    assert.ok(nonce.startsWith(this.#nonce) && nonce !== this.#nonce, serverFirst)
    const octets = Buffer.from(salt, 'base64')
    const keys = keysOf(this.#mechanism, this.#password, octets, Number(iterations))
    const unproven = `c=biws,r=${nonce}`
    const message = `${this.first.slice('n,,'.length)},${serverFirst},${unproven}`
    this.#signature = keys.signature(message)
    return `${unproven},p=${Buffer.from(keys.proof(message)).toString('base64')}`
  }

  /** Whether the server knows the password, too. */
  trusts(serverFinal: string): boolean {
    return serverFinal === `v=${this.#signature}`
  }
}

export class ScramServer {
  readonly #mechanism: ScramName
  readonly #password: string
  readonly #fixed: { readonly nonce?: string; readonly salt: Buffer }
  #messages: readonly string[] = []

  constructor(
    mechanism: ScramName,
    password: string,
    fixed: { readonly nonce?: string; readonly salt: Buffer } = { salt: Buffer.alloc(16, 7) },
  ) {
    this.#mechanism = mechanism
    this.#password = password
    this.#fixed = fixed
  }

  answer(clientFirst: string): string {
    const [, nonce = ''] = /,r=([^,]+)/.exec(clientFirst) ?? []
    const { nonce: whole = `${nonce}${randomBytes(9).toString('hex')}`, salt } = this.#fixed
    const serverFirst = `r=${whole},s=${salt.toString('base64')},i=4096`
    this.#messages = [clientFirst.replace(/^[ny],[^,]*,/, ''), serverFirst]
    return serverFirst
  }

  /** Its signature; undefined where the password is another. */
  finish(clientFinal: string): string | undefined {
    const [, unproven = '', proof = ''] = /^(.*),p=([^,]+)$/.exec(clientFinal) ?? []
    const keys = keysOf(this.#mechanism, this.#password, this.#fixed.salt, 4096)
    const message = [...this.#messages, unproven].join(',')
    const isRight = Buffer.from(keys.proof(message)).toString('base64') === proof
    return isRight ? `v=${keys.signature(message)}` : undefined
  }
}
