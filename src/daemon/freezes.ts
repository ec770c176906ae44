/**
 * Mailboxes that nothing may change for now, as one process knows them. A freeze is of a user, and
 * covers every name that leads to the same mailbox: the names differ, the mail would be in one place.
 *
 * Each ends by itself after its time, whoever has died meanwhile.
 */
import { type Naming, parseAddress, parseWrittenAddress } from '../mail/address.ts'
import type { Destination } from '../mail/route.ts'
import { lookAnew } from '../map/state/override-reader.ts'
import type { Generation } from './runtime.ts'

/** As it is passed on between processes. */
export interface FreezeNotice {
  /** Canonical address. */
  readonly user: string
  /** Grows with each attempt to move the user. */
  readonly epoch: number
  /** From when the notice arrives on; milliseconds. */
  readonly ttlMs: number
}

/** One mailbox. */
type Place = Pick<Destination, 'backend' | 'login'>

/** What leads to one by mail, at a back-end. */
interface MailTarget {
  /** The name of the mailbox there. */
  readonly login: string
  /** What the map was asked for. */
  readonly recipient: string
}

export class Freeze {
  readonly user: string
  epoch: number
  isOver = false
  readonly #current: () => Generation | undefined
  readonly #waiting = new Set<() => void>()
  /** Found when a map is there, and then kept: where the user was, not where he goes. */
  #mailboxes: ReadonlySet<string> | undefined

  constructor({ user, epoch }: FreezeNotice, current: () => Generation | undefined) {
    this.user = user
    this.epoch = epoch
    this.#current = current
    this.#findMailboxes()
  }

  coversLogin(user: string, place: Place): boolean {
    return user === this.user || this.#coversPlace(place)
  }

  coversMail(backend: string, { login, recipient }: MailTarget): boolean {
    const naming = this.#current()?.config.naming
    if (naming === undefined) return false
    const user = parseWrittenAddress(recipient, naming)?.key
    return user === this.user || this.#coversPlace({ backend, login })
  }

  /** Calls `thawed` once when it is over; returns what forgets that. */
  onThaw(thawed: () => void): () => void {
    this.#waiting.add(thawed)
    return () => this.#waiting.delete(thawed)
  }

  end(): void {
    this.isOver = true
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const thawed of waiting) thawed()
  }

  #coversPlace(place: Place): boolean {
    const naming = this.#current()?.config.naming
    if (naming === undefined) return false
    return this.#findMailboxes().has(mailboxOf(place, naming))
  }

  #findMailboxes(): ReadonlySet<string> {
    const generation = this.#current()
    if (generation === undefined) return new Set()
    this.#mailboxes ??= new Set(mailboxesOf(this.user, generation))
    return this.#mailboxes
  }
}

function* mailboxesOf(user: string, { map, config }: Generation): Generator<string> {
  const { naming } = config
  const address = parseAddress(user, naming)
  if (address === undefined) return
  const answers = [map.resolveFinal(address, naming), map.resolve('retrieval', address, naming)]
  for (const answer of answers) {
    if (answer.result === 'route') yield mailboxOf(answer.destination, naming)
  }
}

/** The same for every spelling of a name that means one user there. */
function mailboxOf({ backend, login }: Place, naming: Naming): string {
  return `${backend} ${parseAddress(login, naming)?.key ?? login}`
}

/** The freezes that one process knows. */
export class FreezeTable {
  /** Logins that wait for a thaw. */
  held = 0
  readonly #current: () => Generation | undefined
  readonly #freezes = new Map<string, { readonly freeze: Freeze; timer: NodeJS.Timeout }>()

  /** `current`: what is in force, where something is. */
  constructor(current: () => Generation | undefined) {
    this.#current = current
  }

  /** One that is there already lasts for the time of the new notice. */
  add(notice: FreezeNotice): Freeze {
    const { user, epoch, ttlMs } = notice
    const known = this.#freezes.get(user)
    lookAnew()
    const freeze = known?.freeze ?? new Freeze(notice, this.#current)
    freeze.epoch = Math.max(freeze.epoch, epoch)
    clearTimeout(known?.timer)
    const timer = setTimeout(() => this.thaw(user, freeze.epoch), ttlMs).unref()
    this.#freezes.set(user, { freeze, timer })
    return freeze
  }

  /** What waits for it goes on. A freeze of a later epoch stays. */
  thaw(user: string, epoch: number): void {
    const known = this.#freezes.get(user)
    if (known === undefined || known.freeze.epoch > epoch) return
    clearTimeout(known.timer)
    this.#freezes.delete(user)
    // Where the user has moved to was written a moment ago.
    lookAnew()
    known.freeze.end()
  }

  forLogin(user: string, place: Place): Freeze | undefined {
    return this.#find((freeze) => freeze.coversLogin(user, place))
  }

  forMail(backend: string, target: MailTarget): Freeze | undefined {
    return this.#find((freeze) => freeze.coversMail(backend, target))
  }

  /** There are hardly ever any, and never many. */
  #find(covers: (freeze: Freeze) => boolean): Freeze | undefined {
    for (const { freeze } of this.#freezes.values()) if (covers(freeze)) return freeze
    return undefined
  }
}
