/** Whether two folders hold the same messages. Pure; knows nothing of how they came to. */

/** One message as it was read. */
export interface SeenMessage {
  readonly uid: number
  /** Equal for messages that are the same: the hash of the octets, or what stands for it. */
  readonly identity: string
  readonly sizeBytes: number
  /** Seconds since 1970; undefined where the server tells no date. */
  readonly date: number | undefined
  /** Sorted, between single spaces, as far as both ends can keep them. */
  readonly flags: string
}

export interface Unmatched {
  readonly uid: number
  readonly sizeBytes: number
}

export interface Differing {
  readonly source: number
  readonly target: number
  readonly differs: readonly ('date' | 'flags')[]
}

export interface Comparison {
  /** At the source, and not at the target. */
  readonly missing: readonly Unmatched[]
  /** At the target, and not at the source. */
  readonly extra: readonly Unmatched[]
  /** The same octets with another date or other flags. */
  readonly differing: readonly Differing[]
}

/**
 * Pairs each message of the source with one of the target, those first that are the same in
 * everything: as many alike as there are on one side must be on the other.
 */
export function compareMessages(
  source: readonly SeenMessage[],
  target: readonly SeenMessage[],
): Comparison {
  const unpaired = new Map<string, SeenMessage[]>()
  for (const message of target) {
    const alike = unpaired.get(message.identity)
    if (alike === undefined) unpaired.set(message.identity, [message])
    else alike.push(message)
  }
  const take = (one: SeenMessage, isEqual: boolean): SeenMessage | undefined => {
    const alike = unpaired.get(one.identity)
    const at = alike?.findIndex((other) => !isEqual || differences(one, other).length === 0) ?? -1
    return at === -1 ? undefined : alike?.splice(at, 1)[0]
  }
  const rest = source.filter((one) => take(one, true) === undefined)
  const missing: Unmatched[] = []
  const differing: Differing[] = []
  for (const one of rest) {
    const other = take(one, false)
    if (other === undefined) missing.push(bare(one))
    else {
      differing.push({ source: one.uid, target: other.uid, differs: differences(one, other) })
    }
  }
  return { missing, differing, extra: [...unpaired.values()].flat().map(bare) }
}

function bare({ uid, sizeBytes }: SeenMessage): Unmatched {
  return { uid, sizeBytes }
}

function differences(one: SeenMessage, other: SeenMessage): ('date' | 'flags')[] {
  return [
    ...(one.date === other.date ? [] : (['date'] as const)),
    ...(one.flags.toLowerCase() === other.flags.toLowerCase() ? [] : (['flags'] as const)),
  ]
}
