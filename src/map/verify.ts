/**
 * Reads a whole database and looks at everything: layout, the checksum of every block, and that
 * every record is found by its own key with its own value.
 */
import { MailmuxError } from '../base/error.ts'
import type { Database } from './database/database.ts'
import { openDatabase } from './database/open-database.ts'
import type { StoredRecord } from './database/record.ts'

export interface VerifyReport {
  readonly database: string
  readonly generation: number
  readonly bytes: number
  readonly records: number
  /** What is wrong and where, a line each; the first ones. */
  readonly problems: readonly string[]
  readonly problemCount: number
}

const keptProblems = 100

/** Throws MAP_DATABASE_MISSING, and MAP_DATABASE_DAMAGED where it cannot be opened at all. */
export function verifyDatabase(path: string): VerifyReport {
  const opened = openDatabase(path)
  try {
    const { database } = opened
    const findings = new Findings()
    for (const at of database.damagedBlocks()) {
      findings.add(`the checksum of the block at byte ${at} is wrong`)
    }
    // What is known to be damaged already need not be read again.
    const records = findings.count > 0 ? 0 : checkRecords(database, findings)
    const { generation, fileBytes } = database.header
    const { kept: problems, count: problemCount } = findings
    return { database: path, generation, bytes: fileBytes, records, problems, problemCount }
  } finally {
    opened.close()
  }
}

class Findings {
  readonly kept: string[] = []
  count = 0

  add(text: string): void {
    this.count++
    if (this.kept.length < keptProblems) this.kept.push(text)
  }
}

function checkRecords(database: Database, findings: Findings): number {
  let records = 0
  const counts = { aliases: 0, user_map: 0, popmap: 0 }
  try {
    for (const record of database.records()) {
      records++
      counts[record.kind]++
      const what = faultOf(record, database)
      if (what !== undefined) findings.add(`${placeOf(record, database)}: ${record.key} ${what}`)
    }
  } catch (error) {
    if (!(error instanceof MailmuxError)) throw error
    findings.add(error.message)
  }
  const { users, aliases } = database.header
  if (counts.user_map !== users || counts.aliases !== aliases) {
    findings.add(
      `it has ${counts.user_map} users and ${counts.aliases} aliases, but ${users} and ${aliases} were counted`,
    )
  }
  return records
}

function faultOf(record: StoredRecord, database: Database): string | undefined {
  const entry = database.find(record.key)
  if (entry === undefined) return 'is not found by its key'
  const value = database.valueOfRecord(record)
  const { targets, delivery, retrieval } = entry
  const found = { aliases: targets, user_map: delivery, popmap: retrieval }[record.kind]
  if (found === value || JSON.stringify(found) === JSON.stringify(value)) return undefined
  return 'is found with another value'
}

function placeOf({ source, line }: StoredRecord, { meta }: Database): string {
  return `${meta.files[source]}:${line}`
}
