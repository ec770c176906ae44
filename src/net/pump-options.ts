/** What a pump is made with, and what it tells. */
import type { Connection } from './connection.ts'

/** What ended a join first. */
export type PumpEnd =
  | 'client_closed'
  | 'client_error'
  | 'backend_closed'
  | 'backend_error'
  | 'idle'
  | 'shutdown'

/** Sees all that passes, when it has been passed on. Must be quick, and keep nothing. */
export interface PassedBytes {
  /** The first `length` bytes of `bytes`. */
  fromBackEnd(bytes: Buffer, length: number): void
  fromClient(bytes: Buffer): void
  /** The client has said that it leaves, and nothing since. */
  readonly isLeaving: boolean
}

export interface PumpOptions {
  readonly client: Connection
  /** Dialled; its reads come to the pump from now on, and went to `quietBuffer` before. */
  readonly backend: Connection
  /** How long no byte may pass in either direction; milliseconds. */
  readonly idleTimeoutMs: number
  /**
   * How long the client may stay after its back-end has ended it, unless it says something; given how
   * long no byte had passed. Milliseconds.
   */
  readonly delayMs?: ((silentMs: number) => number) | undefined
  /** Called once, when both connections are closed. */
  readonly onEnd: { pumpEnded(end: PumpEnd): void }
}
