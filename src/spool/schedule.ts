/**
 * When a message is tried again, when its sender hears that it is late, and when it is given up. Pure:
 * times are given, chance too.
 */

/** The wait after the first, second… failed attempt; the last one for all that follow. */
const retryWaitsMs = [1, 2, 5, 10, 20, 40, 60].map((minutes) => minutes * 60_000)
/** Share by which a wait differs, so that what failed together does not come back together. */
const jitter = 0.2
/** A message is given up only after so many attempts: a clock that jumps must not end it. */
const attemptsToGiveUp = 10

/** How long a message may stay. */
export interface Patience {
  readonly maxAgeMs: number
  readonly warnAfterMs: number
}

export interface Standing {
  readonly ageMs: number
  /** Attempts that came to an end. */
  readonly attempts: number
}

/** The longest wait after so many failed attempts. */
function longestWaitMs(attempts: number): number {
  return baseWaitMs(attempts) * (1 + jitter)
}

function baseWaitMs(attempts: number): number {
  const index = Math.min(Math.max(attempts, 1), retryWaitsMs.length) - 1
  return retryWaitsMs[index] ?? 0
}

/** The wait before the next attempt, in milliseconds; `random` is from 0 to 1. */
export function retryWaitMs(attempts: number, random: number): number {
  return Math.round(baseWaitMs(attempts) * (1 + jitter * (2 * random - 1)))
}

/**
 * The wait for a time that was written down, perhaps before the host's clock jumped: never longer
 * than the schedule would have it, and not negative.
 */
export function waitUntilMs(nextAt: number | undefined, wallMs: number, attempts: number): number {
  if (nextAt === undefined) return 0
  return Math.min(Math.max(0, nextAt - wallMs), longestWaitMs(attempts))
}

export function isGivenUp({ ageMs, attempts }: Standing, { maxAgeMs }: Patience): boolean {
  return ageMs >= maxAgeMs && attempts >= Math.min(attemptsToGiveUp, attemptsWithin(maxAgeMs))
}

export function isLate({ ageMs, attempts }: Standing, { warnAfterMs }: Patience): boolean {
  return ageMs >= warnAfterMs && attempts >= Math.min(2, attemptsWithin(warnAfterMs))
}

/** How many attempts the schedule makes in a time, at most as many as count. */
function attemptsWithin(timeMs: number): number {
  let passedMs = 0
  let attempts = 1
  while (attempts < attemptsToGiveUp && passedMs + longestWaitMs(attempts) <= timeMs) {
    passedMs += longestWaitMs(attempts)
    attempts++
  }
  return attempts
}
