/**
 * UIDLs that say which message of IMAP they are of: by its UID, most of them with the UIDVALIDITY of the
 * folder, as Dovecot's `pop3_uidl_format` is documented for those who come from other servers. Pure.
 */

interface Named {
  readonly uid: number
  /** Undefined where the format has none. */
  readonly validity: number | undefined
}

type Format = (uidl: string) => Named | undefined

function format(pattern: RegExp, radix: 10 | 16): Format {
  return (uidl) => {
    const { uid, validity } = pattern.exec(uidl)?.groups ?? {}
    if (uid === undefined) return undefined
    const isBare = validity === undefined
    return { uid: parseInt(uid, radix), validity: isBare ? undefined : parseInt(validity, radix) }
  }
}

const formats: readonly Format[] = [
  // Dovecot, %08Xu%08Xv
  format(/^(?<uid>[\da-f]{8})(?<validity>[\da-f]{8})$/i, 16),
  // UW's ipop3d, %08Xv%08Xu
  format(/^(?<validity>[\da-f]{8})(?<uid>[\da-f]{8})$/i, 16),
  // Cyrus since 2.1.4, Dovecot before 1.0; Cyrus that goes on for Courier has a hyphen
  format(/^(?<validity>\d+)[.-](?<uid>\d+)$/, 10),
  // Courier
  format(/^UID(?<uid>\d+)-(?<validity>\d+)$/, 10),
  // Cyrus before 2.1.4, and where it is told so
  format(/^(?<uid>\d+)$/, 10),
]

/**
 * UIDs of the UIDLs that name one, in the format that most are in. A number alone is a UID only where
 * all are, and those that are known (`has`) are among them.
 */
export function readUids(
  uidls: Iterable<string>,
  uidValidity: number,
  has: (uid: number) => boolean,
): ReadonlyMap<string, number> {
  const all = [...uidls]
  let best: ReadonlyMap<string, number> = new Map()
  for (const read of formats) {
    const found = new Map<string, number>()
    let isBare = false
    for (const uidl of all) {
      const named = read(uidl)
      if (named === undefined || (named.validity ?? uidValidity) !== uidValidity) continue
      isBare ||= named.validity === undefined
      found.set(uidl, named.uid)
    }
    const isGuess = isBare && (found.size < all.length || ![...found.values()].every(has))
    // Each is of one message.
    const isClear = new Set(found.values()).size === found.size
    if (!isGuess && isClear && found.size > best.size) best = found
  }
  return best
}
