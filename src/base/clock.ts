/** Time as a program that waits sees it. Tests move it by hand. */
export interface Clock {
  /** Monotonic milliseconds: the only ones to wait and to measure by. */
  now(): number
  /** Milliseconds since 1970, as the host believes: to be shown and stored, and may jump. */
  wall(): number
  /** Calls once, after so many monotonic milliseconds; returns what calls it off. */
  after(waitMs: number, call: () => void): () => void
}
