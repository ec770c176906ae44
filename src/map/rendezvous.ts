/**
 * Weighted rendezvous hashing: every back-end draws a number from the user and its own name, scaled
 * by its weight, and the highest wins. A back-end that is added takes only the users that it wins,
 * and one that is removed gives up only its own. The draw is part of the map's meaning: it must stay
 * the same in every version, or users would change places.
 */
import { createHash } from 'node:crypto'

export interface Share {
  readonly backend: string
  /** Relative share of the users, above 0. */
  readonly weight: number
}

function wordsOf(text: string): readonly [number, number] {
  const digest = createHash('sha256').update(text).digest()
  return [digest.readUInt32BE(0), digest.readUInt32BE(4)]
}

/** Every bit of the result depends on every bit of `word` (the finish of MurmurHash3). */
function stir(word: number): number {
  let mixed = word ^ (word >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

type Words = readonly [number, number]

/** A number in (0, 1) that is always the same for the same user and back-end. */
function draw([userHigh, userLow]: Words, [backendHigh, backendLow]: Words): number {
  const high = stir(userHigh ^ stir(backendHigh ^ userLow))
  const low = stir(userLow ^ stir(backendLow ^ high)) >>> 11
  return (high * 2 ** 21 + low + 0.5) / 2 ** 53
}

/** Makes the function that gives each user its back-end among `shares`, which is not empty. */
export function makeChooser(shares: readonly Share[]): (user: string) => string {
  const drawers = shares.map(({ backend, weight }) => ({
    backend,
    weight,
    words: wordsOf(backend),
  }))
  return (user) => {
    const userWords = wordsOf(user)
    let best = ''
    let bestScore = -Infinity
    for (const { backend, weight, words } of drawers) {
      const score = weight / -Math.log(draw(userWords, words))
      if (score > bestScore || (score === bestScore && backend < best)) {
        best = backend
        bestScore = score
      }
    }
    return best
  }
}
