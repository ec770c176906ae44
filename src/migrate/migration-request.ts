/** What a migration is asked for on the command line. */
import type { BackendConfig } from '../config/config.ts'
import type { MigrationOptions } from './migrate-user.ts'
import { type MigrationRequest, originOf, parseRenames } from './prepare-migration.ts'

export interface MigrationFlags {
  readonly from?: string | undefined
  readonly source?: string | undefined
  readonly credentials?: string | undefined
  readonly to: string
  readonly users?: string | undefined
  readonly jobs: number
  readonly 'dry-run': boolean
  readonly merge: boolean
  readonly ignore?: MigrationOptions['ignores'] | undefined
  readonly 'max-bad': number
  readonly verify: MigrationOptions['verify']
  readonly then?: string | undefined
  readonly window?: readonly string[] | undefined
  readonly 'no-wait': boolean
  readonly 'map-folder'?: readonly string[] | undefined
}

/** `named`: a back-end by its name; `signal` ends moves. Throws USAGE, and what `named` throws. */
export function requestOf(
  flags: MigrationFlags,
  named: (name: string) => BackendConfig,
  signal: AbortSignal,
): MigrationRequest {
  return {
    from: originOf(flags, named),
    to: named(flags.to),
    users: flags.users,
    jobs: flags.jobs,
    dryRun: flags['dry-run'],
    merge: flags.merge,
    ignores: flags.ignore ?? [],
    maxBad: flags['max-bad'],
    verify: flags.verify,
    windows: flags.window ?? [],
    waits: !flags['no-wait'],
    thenMove: flags.then === 'move' ? signal : undefined,
    renames: parseRenames(flags['map-folder'] ?? []),
  }
}
