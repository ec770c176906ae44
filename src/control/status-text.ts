/** Durations and lists as a person reads them. */

/** The two largest units: `3d 4h`, `5m 10s`, `7s`. */
export function formatDuration(durationMs: number): string {
  let rest = Math.floor(durationMs / 1000)
  const parts: string[] = []
  for (const [unit, seconds] of units) {
    const amount = Math.floor(rest / seconds)
    rest -= amount * seconds
    if (amount > 0 || parts.length > 0) parts.push(`${amount}${unit}`)
  }
  return parts.slice(0, 2).join(' ') || '0s'
}

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const

/** Words as lines of at most `chars`; one that is longer has a line for itself. */
export function wrapWords(words: readonly string[], between: string, chars: number): string[] {
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    const longer = last === undefined ? word : `${last}${between}${word}`
    if (last === undefined || longer.length > chars) lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines
}
