/** What a message is known by: the SHA-256 of its octets, in base64url. */
import { createHash, hash } from 'node:crypto'
import type { Fetched } from './fetch-attributes.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import { octetsOf } from './message-octets.ts'
import { batchLimits, inPieces, planBatches } from './plan-messages.ts'
import type { UidSet } from './uid-set.ts'

/** Messages whose sizes are asked for at a time. */
export const factsAtOnce = 1_000

export function hashOf(body: Buffer): string {
  return hash('sha256', body, 'base64url')
}

/** Hashes and counts octets on their way. */
export class Hasher {
  readonly #hash = createHash('sha256')
  sizeBytes = 0

  async *pass(octets: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const bytes of octets) {
      this.#hash.update(bytes)
      this.sizeBytes += bytes.length
      yield bytes
    }
  }

  /** To be asked once, at the end. */
  get sha256(): string {
    return this.#hash.digest('base64url')
  }

  static async of(octets: AsyncIterable<Buffer>): Promise<string> {
    const hasher = new Hasher()
    for await (const _ of hasher.pass(octets)) {
      // Only the hash is wanted.
    }
    return hasher.sha256
  }
}

export interface Hashed {
  readonly fetched: Fetched
  readonly sha256: string
}

/** Reads messages of the selected folder; what is gone by then is left out. */
export async function* readHashed(
  mailbox: ImapMailbox,
  uids: UidSet,
): AsyncGenerator<Hashed, void, undefined> {
  for (const part of uids.chunks(factsAtOnce)) {
    const facts = await mailbox.facts(part)
    for (const { large, uids: some, bytes } of planBatches(facts, inPieces(batchLimits, mailbox))) {
      await mailbox.admit(bytes)
      if (large === undefined) {
        for (const fetched of await mailbox.bodies(some)) {
          yield { fetched, sha256: hashOf(fetched.body ?? Buffer.alloc(0)) }
        }
      } else yield { fetched: large, sha256: await Hasher.of(octetsOf(mailbox, large.uid)) }
    }
  }
}
