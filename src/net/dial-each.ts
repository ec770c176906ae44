/**
 * Tries the addresses of a host, one after the other, until one answers. They share the time: the last has
 * what is left of it.
 */
import { isIP } from 'node:net'
import type { Cancel, DialFailure, DialResult } from './dial.ts'
import { hostResolver } from './resolve-host.ts'

type Done = (result: DialResult) => void

export interface HostToTry {
  /** An address, or a name. */
  readonly host: string
  /** For all addresses, and for finding them. */
  readonly timeoutMs: number
  /** Calls back later, once, unless it is cancelled. */
  readonly tryAddress: (address: string, timeoutMs: number, done: Done) => Cancel
  /** What it is called when a name has no address. */
  readonly failureOf: (error: Error | undefined) => DialFailure
}

/** Several addresses share the time; a slow network needs more than the default of one attempt. */
export function attemptMs(timeoutMs: number): number {
  return Math.max(250, Math.floor(timeoutMs / 4))
}

/** Calls back later, once, unless it is cancelled. When all have failed the first failure speaks for all. */
export function dialEach(options: HostToTry, done: Done): Cancel {
  const { host, timeoutMs, tryAddress } = options
  if (isIP(host) !== 0) return tryAddress(host, timeoutMs, done)
  const each = new EachAddress(options, done)
  return () => each.cancel()
}

class EachAddress {
  readonly #options: HostToTry
  readonly #done: Done
  readonly #startedAt = performance.now()
  #timer: NodeJS.Timeout | undefined
  #cancel: Cancel | undefined
  #first: DialFailure | undefined
  #isOver = false

  constructor(options: HostToTry, done: Done) {
    this.#options = options
    this.#done = done
    const { host, timeoutMs, failureOf } = options
    this.#timer = setTimeout(() => this.#fail(tooLate(timeoutMs)), timeoutMs)
    hostResolver.resolve(host, (error, addresses) => {
      clearTimeout(this.#timer)
      if (this.#isOver) return
      if (error === null) this.#try(addresses.map(({ address }) => address))
      else this.#fail(failureOf(error))
    })
  }

  cancel(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#cancel?.()
  }

  #try([address, ...others]: readonly string[]): void {
    const { timeoutMs, tryAddress } = this.#options
    const leftMs = timeoutMs - (performance.now() - this.#startedAt)
    if (address === undefined || leftMs <= 0) return this.#fail(this.#first ?? tooLate(timeoutMs))
    const mostMs = others.length === 0 ? leftMs : Math.min(leftMs, attemptMs(timeoutMs))
    this.#cancel = tryAddress(address, mostMs, (result) => {
      if (result.ok) return this.#done(result)
      this.#first ??= result.failure
      // No other address needs fewer descriptors.
      if (result.failure.reason === 'no_descriptor') this.#fail(result.failure)
      else if (others.length === 0) this.#fail(this.#first)
      else this.#try(others)
    })
  }

  #fail(failure: DialFailure): void {
    this.#isOver = true
    this.#done({ ok: false, failure })
  }
}

function tooLate(timeoutMs: number): DialFailure {
  return { step: 'connect', reason: 'timeout', detail: `not connected after ${timeoutMs} ms` }
}
