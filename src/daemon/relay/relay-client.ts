/**
 * Who the client of a relay session is: the host that is connected, or the one that it speaks for
 * (XCLIENT). What is told of it in the log, in messages and to back-ends comes from here.
 */
import type { Config } from '../../config/config.ts'
import { formatHost } from '../../mail/network.ts'
import type { SmtpPlan } from '../../backend/smtp-connection.ts'
import type { ClientAttributes } from '../../protocol/smtp/client-attributes.ts'
import { attributesOf, type ClientAddress } from '../client-address.ts'
import { isTrusted, namesFor } from '../login/client-knowledge.ts'

/** What a client said of itself. */
export interface Introduction {
  readonly hello: string
  readonly isExtended: boolean
}

export class RelayClient {
  /** It may say whom it speaks for. */
  readonly isTrusted: boolean
  /** A proxy's look at us. */
  readonly isCheck: boolean
  readonly #id: string
  readonly #config: Config
  readonly #connected: ClientAddress
  #told: ClientAttributes = {}

  constructor(id: string, connected: ClientAddress, config: Config) {
    this.#id = id
    this.#connected = connected
    this.#config = config
    this.isCheck = connected.isCheck
    this.isTrusted = isTrusted(config, connected.client.address)
    this.#askName()
  }

  /** Address and port, for the log: of the host that is connected where another is not told. */
  get peer(): string {
    const { client } = this.#connected
    const address = this.#told.address ?? client.address
    return formatHost({
      address,
      port: this.#told.address === undefined ? client.port : this.#port,
    })
  }

  /** Undefined where the host that is connected would not tell it. */
  get address(): string | undefined {
    return 'address' in this.#told ? this.#told.address : this.#connected.client.address
  }

  /** The name of its address, where that is known by now. */
  get name(): string | undefined {
    if ('name' in this.#told) return this.#told.name
    const { address } = this
    return address === undefined ? undefined : namesFor(this.#config)?.nameOf(address)
  }

  /** All that XCLIENT has told. */
  tell(client: ClientAttributes): void {
    this.#told = client
    this.#askName()
  }

  /** What it calls itself, as far as the host that is connected does not know better. */
  introduced({ hello, isExtended }: Introduction): Introduction {
    const { hello: told, protocol } = this.#told
    const isTold = protocol !== undefined
    return { hello: told ?? hello, isExtended: isTold ? protocol === 'ESMTP' : isExtended }
  }

  /** A plan that tells the back-end of this client, where the back-end is to be told. */
  passTo(
    plan: SmtpPlan,
    introduction: Introduction,
    forwarded: ClientAttributes | undefined,
  ): SmtpPlan {
    if (plan.clientAddress === 'none' || plan.clientAddress === 'id') return plan
    const client = this.#attributes(introduction)
    const isForwarded = plan.clientAddress === 'xforward' && forwarded !== undefined
    return { ...plan, client: isForwarded ? { ...forwarded, ident: this.#id } : client }
  }

  #attributes(introduction: Introduction): ClientAttributes {
    const { hello, isExtended } = this.introduced(introduction)
    const { name } = this
    return {
      ...attributesOf(this.#connected),
      ...this.#told,
      ...(name === undefined ? {} : { name }),
      protocol: isExtended ? 'ESMTP' : 'SMTP',
      ...(hello === '' ? {} : { hello }),
      ident: this.#id,
      source: 'REMOTE',
    }
  }

  get #port(): number {
    return this.#told.port ?? 0
  }

  #askName(): void {
    const { address } = this
    if (address !== undefined && !('name' in this.#told)) namesFor(this.#config)?.ask(address)
  }
}
