/** Time, as a value that tests can replace. */
export interface Clock {
  /** Monotonic milliseconds, for durations and deadlines. */
  now(): number
  /** Wall clock, for what is written down. */
  date(): Date
}
