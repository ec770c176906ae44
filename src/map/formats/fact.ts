/**
 * What a map in somebody else's form says, one thing at a time, and what of it cannot be said in
 * ours. Back-ends are as the form names them: a host, a port where one is told, or a short name.
 */
import type { Position } from '../../base/position.ts'
import type { BackendProtocol } from '../../config/config.ts'
import type { Verdict } from '../../mail/route.ts'

/** A server as a foreign map names it. */
export interface Server {
  /** Host name, address, or the name of a back-end. */
  readonly host: string
  readonly port?: number
  readonly protocol?: BackendProtocol
}

export type Target =
  | { readonly kind: 'server'; readonly server: Server; readonly login?: string }
  | { readonly kind: 'forward'; readonly address: string }
  | ({ readonly kind: 'reject' | 'defer' } & Verdict)

/** Which way a fact is about: mail, logins, or both. */
export type Side = 'both' | 'delivery' | 'retrieval'

export type Fact = { readonly at: Position } & (
  | {
      readonly kind: 'user'
      /** `name@domain`, or `name` for every domain. */
      readonly key: string
      readonly side: Side
      readonly to: Target
    }
  | { readonly kind: 'alias'; readonly name: string; readonly targets: readonly string[] }
  /** `match` as in our rules. */
  | { readonly kind: 'rule'; readonly match: string; readonly to: Target }
  | { readonly kind: 'shares'; readonly match: string; readonly servers: readonly WeightedServer[] }
  /** A value in the words of one of our sources. */
  | {
      readonly kind: 'word'
      readonly source: 'user_map' | 'popmap'
      readonly key: string
      readonly value: string
    }
  /** A whole line of one of our sources. */
  | { readonly kind: 'line'; readonly source: 'rules' | 'popmap.re'; readonly text: string }
  /** Logins only: a POSIX expression, `login` may hold $1 to $9. */
  | { readonly kind: 'pattern'; readonly expression: string; readonly to: Target }
)

export interface WeightedServer {
  readonly server: Server
  readonly weight: number
}

/** What could not be carried over, or should be looked at. */
export interface Note {
  /** Where it stands in what was read; absent in what was made. */
  readonly at?: Position
  /** The key or line that it is about. */
  readonly about: string
  readonly reason: string
  /** Carried over all the same, and should only be looked at. */
  readonly isCarried?: boolean
}
