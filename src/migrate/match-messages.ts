/** Which message of POP3 is which of IMAP, where its UIDL does not say so. Pure but for what it asks. */

/** Key: the number in POP3, or the UID. */
export interface Sized {
  readonly key: number
  readonly sizeBytes: number
}

/** Headers of messages, by their keys; those that cannot be read are left out. */
export type ReadHeaders = (keys: readonly number[]) => Promise<ReadonlyMap<number, string>>

export interface MatchSide {
  /** In the order in which the server has them. */
  readonly messages: readonly Sized[]
  readonly headers: ReadHeaders
}

/**
 * Pairs by size where no other message has it, else by size and header, in order. Sizes are believed
 * where both sides have the same ones; else headers alone count.
 */
export async function matchMessages(one: MatchSide, other: MatchSide): Promise<[number, number][]> {
  const isSized = sizesOf(one) === sizesOf(other)
  const isAlone = isSized ? alone(one) : () => false
  const [here, there] = await Promise.all([named(one, isAlone), named(other, isAlone)])
  const waiting = new Map<string, number[]>()
  for (const [key, name] of there) {
    const alike = waiting.get(name)
    if (alike === undefined) waiting.set(name, [key])
    else alike.push(key)
  }
  return [...here].flatMap(([key, name]): [number, number][] => {
    const next = waiting.get(name)?.shift()
    return next === undefined ? [] : [[key, next]]
  })

  async function named(
    { messages, headers }: MatchSide,
    isClear: (sizeBytes: number) => boolean,
  ): Promise<Map<number, string>> {
    const unclear = messages.filter(({ sizeBytes }) => !isClear(sizeBytes)).map(({ key }) => key)
    const read = unclear.length === 0 ? new Map<number, string>() : await headers(unclear)
    const names = new Map<number, string>()
    for (const { key, sizeBytes } of messages) {
      const header = isClear(sizeBytes) ? '' : read.get(key)
      if (header !== undefined) names.set(key, isSized ? `${sizeBytes} ${header}` : header)
    }
    return names
  }
}

function sizesOf({ messages }: MatchSide): string {
  return messages
    .map(({ sizeBytes }) => sizeBytes)
    .sort((a, b) => a - b)
    .join()
}

/** Whether a size is that of one message only. */
function alone({ messages }: MatchSide): (sizeBytes: number) => boolean {
  const counts = new Map<number, number>()
  for (const { sizeBytes } of messages) counts.set(sizeBytes, (counts.get(sizeBytes) ?? 0) + 1)
  return (sizeBytes) => counts.get(sizeBytes) === 1
}
