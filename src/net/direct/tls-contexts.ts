/** What the clients of a service are shown by TLS on direct sockets. */
import { createPrivateKey, hkdfSync } from 'node:crypto'
import type { OpenSsl, ServerContextOptions } from './openssl.ts'

const ticketKeysBytes = 80

interface ContextsOptions extends Omit<ServerContextOptions, 'cert' | 'key' | 'ticketKeys'> {
  /** The first is shown to those that ask for no name, or an unknown one. PEM texts. */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[]
  /** What the keys of tickets are derived from. */
  readonly ticketKey: Buffer
  /** Which of the certificates is for a name. */
  readonly indexFor: (serverName: string) => number
}

export class TlsContexts {
  readonly #contexts: readonly bigint[]
  readonly #indexFor: ContextsOptions['indexFor']

  /** Throws where OpenSSL will not have it so. */
  constructor(openSsl: OpenSsl, { certificates, ticketKey, indexFor, ...shared }: ContextsOptions) {
    const derived = hkdfSync('sha256', ticketKey, '', 'direct tls tickets', ticketKeysBytes)
    const own = { ...shared, ticketKeys: Buffer.from(derived) }
    const contexts: bigint[] = []
    // Those of before are freed when nobody can take a client by them any more.
    unreachable.register(this, () => contexts.forEach((context) => openSsl.freeContext(context)))
    for (const { cert, key } of certificates) {
      const plain = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem' })
      contexts.push(openSsl.createServerContext({ ...own, cert, key: plain }))
    }
    this.#contexts = contexts
    this.#indexFor = indexFor
  }

  contextFor(serverName: string): bigint {
    const [first, ...others] = this.#contexts
    if (first === undefined) throw new Error('no certificate')
    if (serverName === '' || others.length === 0) return first
    return this.#contexts[this.#indexFor(serverName)] ?? first
  }
}

const unreachable = new FinalizationRegistry<() => void>((free) => {
  free()
})
