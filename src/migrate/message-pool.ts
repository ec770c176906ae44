/**
 * Messages at the target that a message of the source may be known again in, each to be taken once.
 * Equal octets with another date are another message, where it is known what date was asked for; of
 * a message that was stored without a row, the date is what that server made of it.
 */
import { secondsOf } from './fetch-attributes.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import { readHashed } from './message-hash.ts'
import type { UidSet } from './uid-set.ts'

interface Pooled {
  readonly uid: number
  /** Seconds since 1970. */
  readonly date: number | undefined
  readonly isDateKnown: boolean
}

export class MessagePool {
  readonly #byHash = new Map<string, Pooled[]>()

  get isEmpty(): boolean {
    return this.#byHash.size === 0
  }

  /** `date`: the one that was asked for when it was stored. */
  addCopy(sha256: string, uid: number, date: number | undefined): void {
    this.#add(sha256, { uid, date, isDateKnown: true })
  }

  /** The first of the messages that can be the one, which is not given out again. */
  take(sha256: string, date: number | undefined): number | undefined {
    const alike = this.#byHash.get(sha256) ?? []
    const same = alike.findIndex((one) => one.date === date)
    const at = same === -1 ? alike.findIndex((one) => !one.isDateKnown) : same
    if (at === -1) return undefined
    const [taken] = alike.splice(at, 1)
    if (alike.length === 0) this.#byHash.delete(sha256)
    return taken?.uid
  }

  /** Reads messages of the selected folder. */
  async read(mailbox: ImapMailbox, uids: UidSet): Promise<void> {
    for await (const { fetched, sha256 } of readHashed(mailbox, uids)) {
      const date = secondsOf(fetched.date)
      this.#add(sha256, { uid: fetched.uid, date, isDateKnown: false })
    }
  }

  #add(sha256: string, pooled: Pooled): void {
    const alike = this.#byHash.get(sha256)
    if (alike === undefined) this.#byHash.set(sha256, [pooled])
    else alike.push(pooled)
  }
}
