/** What the sender of a spooled message is told of it, and what is written down of that. */
import type { Log } from '../../base/log.ts'
import type { JournalRecord, LostReason } from '../../spool/journal.ts'
import type { MessageFile } from '../../spool/message-file.ts'
import type { RecipientProgress } from '../../spool/progress.ts'
import { type Reportable, whatToReport } from '../../spool/report-policy.ts'
import { isLate, type Standing } from '../../spool/schedule.ts'
import { spoolFault } from '../../spool/spool-fault.ts'
import type { QueueReports } from './queue-reports.ts'
import type { Generation } from '../runtime.ts'

export interface TellingTools {
  readonly current: Generation
  readonly log: Log
  readonly reports: QueueReports
}

/**
 * Adds to the journal. Where there is no room, the record is kept and written with the next one: a
 * message that is done with makes room by going. Throws what else the disk does.
 */
export async function writeDown(
  file: MessageFile,
  record: JournalRecord,
  how: 'durable' | 'lazy',
): Promise<void> {
  try {
    await file.append(record, how)
  } catch (error) {
    if (spoolFault(error, file.head.id).code !== 'SPOOL_FULL') throw error
  }
}

export class QueueTelling {
  readonly #file: MessageFile
  readonly #tools: TellingTools

  constructor(file: MessageFile, tools: TellingTools) {
    this.#file = file
    this.#tools = tools
  }

  /** Tells what there is to tell. Returns false where some of it has to wait. */
  async run(standing: Standing): Promise<boolean> {
    const { spool } = this.#tools.current.config
    const { progress, head } = this.#file
    const isNullSender = head.envelope.sender === ''
    const situation = { isNullSender, isLate: isLate(standing, spool) }
    let isComplete = true
    for (const reportable of whatToReport(progress, situation)) {
      await this.#passOver(reportable, isNullSender)
      if (!(await this.#tell(reportable))) isComplete = false
    }
    return isComplete
  }

  /** Those of whom nobody is to hear. A failed notification is kept for a person to look at. */
  async #passOver({ kind, untold }: Reportable, isNullSender: boolean): Promise<void> {
    if (untold.length === 0) return
    const isBounce = isNullSender && kind === 'failure'
    if (isBounce) this.#alarm('double_bounce', untold)
    await this.#note(kind, untold, isBounce ? { lost: 'double_bounce' } : {})
  }

  async #tell({ kind, told }: Reportable): Promise<boolean> {
    if (told.length === 0) return true
    const { reports, current, log } = this.#tools
    const written = await reports.write(this.#file, kind, told, current)
    if (written.kind === 'later') return false
    if (written.kind === 'lost') {
      this.#alarm('report_unsent', told, written.detail)
      await this.#note(kind, told, kind === 'failure' ? { lost: 'unreportable' } : {})
      return true
    }
    const of = this.#file.head.id
    log('report', { id: written.id, of, kind, recipients: told.length })
    await this.#note(kind, told, { notification: written.id })
    return true
  }

  #note(
    of: Reportable['kind'],
    about: readonly RecipientProgress[],
    outcome: { readonly notification?: string; readonly lost?: LostReason },
  ): Promise<void> {
    const recipients = about.map(({ index }) => index)
    const record = { do: 'reported', of, recipients, notification: undefined, ...outcome } as const
    return writeDown(this.#file, record, 'durable')
  }

  #alarm(reason: string, about: readonly RecipientProgress[], why = ''): void {
    const { id } = this.#file.head
    const detail = [`message ${id}`, `${about.length} recipients`, why].filter(Boolean).join(': ')
    this.#tools.log('internal', { reason, detail })
  }
}
