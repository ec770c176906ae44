/** UIDLs of a mailbox, enough of them for several pages of the state database. */
import { UidlTable } from '../../src/map/state/uidl-table.ts'

export const uidlOwner = { user: 'ann@example.com', backend: 'ingrid' } as const

export function uidlsBeing(what: 'old' | 'new'): UidlTable {
  return UidlTable.of(
    new Map(Array.from({ length: 500 }, (_, at) => [`target-${at}`, `${what}-source-${at}`])),
  )
}
