/** What one pass of a copy has done and found. */
import type { FolderReport } from './folder-work.ts'

export interface PassReport {
  /** Folders in which something was to be done. */
  readonly folders: readonly FolderReport[]
  readonly unchanged: number
  readonly copied: number
  readonly bytes: number
  /** What is there otherwise than at the source. */
  readonly notes: readonly string[]
  /** What is not there, for a person. */
  readonly problems: readonly string[]
}

export interface Findings {
  readonly notes: string[]
  readonly problems: string[]
}

export function reportOf(
  folders: readonly FolderReport[],
  unchanged: number,
  findings: Findings,
): PassReport {
  const sum = (of: 'copied' | 'bytes'): number =>
    folders.reduce((total, folder) => total + folder[of], 0)
  return { folders, unchanged, copied: sum('copied'), bytes: sum('bytes'), ...findings }
}

/** Puts what one folder has to tell to the rest. */
export function tellOf(report: FolderReport, { notes, problems }: Findings): void {
  const { source, target } = report
  problems.push(...report.problems.map((problem) => `${source}: ${problem}`))
  const lost = [...report.lostFlags].sort().join(' ')
  if (lost !== '') notes.push(`${source}: ${target} does not keep ${lost}`)
  if (!report.isInOrder) notes.push(`${source}: some messages are in another order in ${target}`)
}

export function isUntouched({ copied, found, flagged, expunged }: FolderReport): boolean {
  return copied + found + flagged + expunged === 0
}
