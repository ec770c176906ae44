/** Cuts at the given places, each taken modulo the length. */
export function cutAt(places: readonly number[]): (bytes: Buffer) => Buffer[] {
  return (bytes) => {
    const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length]
    let start = 0
    return ends
      .sort((left, right) => left - right)
      .map((end) => {
        const piece = bytes.subarray(start, end)
        start = end
        return piece
      })
  }
}
